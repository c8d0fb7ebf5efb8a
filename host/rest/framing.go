package rest

import (
	"net/http"
	"strings"
)

// hasBody reports whether r may have a body. The length is 0 only if it was given as 0 or
// not at all, and -1 if it is not known before the end.
func hasBody(r *http.Request) bool { return r.ContentLength != 0 || len(r.TransferEncoding) > 0 }

// unsure reports whether a program before this one may see the end of r elsewhere, so that
// what follows on the connection is not for certain a request: a body that nobody reads, a
// header that some take for a length, and HTTP/1.0, where net/http ignores a
// Transfer-Encoding that others honour.
func unsure(r *http.Request) bool {
	return r.ProtoMajor == 1 && (r.ProtoMinor == 0 || hasBody(r) || lookalike(r.Header))
}

// lookalike reports whether h has a field that some programs take for one that says how
// long the body is: Content_Length, Transfer---Encoding, or such a field in a line that
// begins with a space, which net/http has joined to the value before it. Gateways that
// turn "_" into "-", and those that trim lines, read it so.
func lookalike(h http.Header) bool {
	for name, values := range h {
		if name != "Content-Length" && name != "Transfer-Encoding" {
			switch letters(name) {
			case "contentlength", "transferencoding":
				return true
			}
		}
		for _, v := range values {
			if !strings.Contains(v, ":") {
				continue
			}
			v = strings.ToLower(v)
			if strings.Contains(v, "content-length") || strings.Contains(v, "transfer-encoding") {
				return true
			}
		}
	}
	return false
}

// letters are those of s, in lower case.
func letters(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case 'A' <= c && c <= 'Z':
			return c - 'A' + 'a'
		case 'a' <= c && c <= 'z':
			return c
		}
		return -1
	}, s)
}
