package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

var big1 = big.NewInt(1)

// behaviours are what each back end does, by the last segment of the path.
var behaviours = []string{
	"echo", "gzip", "early", "fail", "refuse", "moved", "permanent", "kept", "other", "multiple", "garbage", "status", "half", "reset", "slow", "brotli",
	"badgzip", "part", "same", "switch", "large", "wait",
}

// said is what every complete answer has, to see that one came.
const said = "you said:"

// behave is a back end that gives away its credential in every way that it can.
func (c *canary) behave(k *kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		known := k.knows(r)
		text, line := c.repeat(r, known), inHeader(known)
		first := slices.Concat(slices.DeleteFunc(slices.Clone(known), func(s string) bool { return !isPrintable(s) }), []string{"nothing"})[0]
		h := w.Header()
		h.Set("Content-Type", "application/json")
		for _, name := range []string{"X-Echo", "Etag", "Content-Disposition", "Cache-Control", "Ratelimit-Policy", "X-Next-Page"} {
			h.Set(name, `"`+line+`"`)
		}
		h.Set("Link", "<"+k.station.origin+"/next?key="+url.QueryEscape(first)+`>; rel="next"`)
		h.Set("Set-Cookie", "session="+first)
		switch path := r.URL.Path; path[strings.LastIndex(path, "/")+1:] {
		case "gzip":
			h.Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			_, _ = io.WriteString(z, text)
		case "early":
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, text)
		case "fail":
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, text)
		case "refuse":
			h.Set("WWW-Authenticate", "Bearer error=\""+first+"\"")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, text)
		case "moved", "other", "permanent", "kept", "multiple":
			status := map[string]int{"moved": 302, "other": 303, "permanent": 308, "kept": 307, "multiple": 300}
			h.Set("Location", c.evil.origin+"/allowed/echo?key="+url.QueryEscape(first))
			w.WriteHeader(status[path[strings.LastIndex(path, "/")+1:]])
			_, _ = io.WriteString(w, text)
		case "garbage":
			raw(w, "HTTP/1.1 2OO "+first+"\r\n"+first+"\r\n\r\n"+text)
		case "status":
			raw(w, "HTTP/1.1 200 "+first+"\r\nX-Echo: "+first+"\r\nContent-Length: 2\r\n\r\n{}")
		case "half":
			h.Set("Content-Length", fmt.Sprint(2*len(text)))
			_, _ = io.WriteString(w, text)
		case "reset":
			panic(http.ErrAbortHandler)
		case "slow":
			_, _ = io.WriteString(w, text)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "brotli":
			h.Set("Content-Encoding", "br")
			_, _ = io.WriteString(w, text)
		case "badgzip":
			h.Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, text)
		case "part":
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, text)
		case "same":
			w.WriteHeader(http.StatusNotModified)
		case "switch":
			raw(w, "HTTP/1.1 101 "+first+"\r\nUpgrade: "+first+"\r\nConnection: Upgrade\r\n\r\n"+text)
		case "large":
			for range 20 {
				_, _ = io.WriteString(w, text+strings.Repeat(" ", 4<<10))
			}
		case "wait":
			h.Set("Retry-After", first)
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, text)
		case "given-away":
			for _, how := range slices.Sorted(maps.Keys(residue)) {
				fmt.Fprintf(w, "%s\n", residue[how](first))
			}
		default: // in small chunks, so that each form lies across several, and in trailers
			h.Set("Trailer", "X-Echo-Trailer, Etag")
			for len(text) > 0 {
				n := min(len(text), 997)
				_, _ = io.WriteString(w, text[:n])
				w.(http.Flusher).Flush()
				text = text[n:]
			}
			h.Set("X-Echo-Trailer", first)
		}
	}
}

// raw writes an answer byte for byte.
func raw(w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, text)
}

// repeat is what was asked, each credential in every form that the host promises to take
// out, and what it holds of a person.
func (c *canary) repeat(r *http.Request, known []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s %s\n%v\n", said, r.Method, r.RequestURI, c.held.text, r.Header)
	for _, s := range known {
		b.WriteString(strings.Join(repetitions(s), "\n") + "\n")
	}
	text, _ := io.ReadAll(r.Body)
	b.Write(text)
	return b.String()
}

// inHeader is as many whole forms as fit into a header that a plugin gets.
func inHeader(known []string) string {
	line := ""
	for _, s := range known {
		for _, form := range repetitions(s) {
			if len(line)+len(form) < 3000 && isPrintable(form) {
				line += form + " "
			}
		}
	}
	return line
}

func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func repetitions(s string) []string {
	forms := []string{s, "Bearer " + s, url.QueryEscape(s), url.PathEscape(s), hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s)))}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for shift := range 3 {
			forms = append(forms, enc.EncodeToString([]byte("abc"[:shift]+s+"xyz"[shift:])))
		}
		forms = append(forms, "Basic "+enc.EncodeToString([]byte("shop:"+s)), url.QueryEscape(enc.EncodeToString([]byte(s))))
	}
	if isPrintable(s) { // JSON holds no other bytes
		quoted, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		forms = append(forms, string(quoted), strings.ReplaceAll(string(quoted), "/", `\/`))
	}
	var every, slashes bytes.Buffer
	for _, c := range []byte(s) {
		fmt.Fprintf(&every, "%%%02x", c)
	}
	for _, c := range []byte(s) {
		fmt.Fprintf(&slashes, `\u%04x`, c)
	}
	return append(forms, every.String(), strings.ToUpper(every.String()), slashes.String())
}

// residue are the forms that no redactor of the host's takes out, with what undoes them.
var residue = map[string]func(string) string{
	"reversed": func(s string) string { b := []byte(s); slices.Reverse(b); return string(b) },
	"UTF-16": func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			b.Write([]byte{c, 0})
		}
		return b.String()
	},
	"a space after each character": func(s string) string { return strings.Join(strings.Split(s, ""), " ") },
	"two halves":                   func(s string) string { return s[:len(s)/2] + "\n" + s[len(s)/2:] },
	"base64 in lines": func(s string) string {
		text := base64.StdEncoding.EncodeToString([]byte(s))
		return text[:20] + "\n" + text[20:40] + "\n" + text[40:]
	},
	"base64 of base64": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s))))
	},
	"hex of base64":      func(s string) string { return hex.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s)))) },
	"percent of percent": func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"HTML":               html.EscapeString,
	"other letter case":  func(s string) string { return strings.ToLower(s) },
	"gzip within": func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(s))
		_ = z.Close()
		return b.String()
	},
	"hex with colons": func(s string) string { return strings.ReplaceAll(fmt.Sprintf("% x", s), " ", ":") },
}
