package egress

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"pointsman/host/broker"
)

// ratioFloor is how much may be decoded before the ratio counts, in bytes: small bodies of
// blanks and zeros compress well without being bombs.
const ratioFloor = 64 << 10

// errAnswer marks an answer that is refused. Its text is ours, so it can be a Detail.
type errAnswer string

func (e errAnswer) Error() string { return string(e) }

const (
	errRedirect  errAnswer = "the back end redirects; redirects are never followed"
	errStatus    errAnswer = "the back end answered a status that is none of 200 to 599"
	errEncoding  errAnswer = "the back end encodes its answer in a way that was not asked for"
	errTooLarge  errAnswer = "the back end's answer is larger than the limit for it"
	errRatio     errAnswer = "the back end's answer grows more than is allowed when it is decompressed"
	errGzip      errAnswer = "the back end's answer is not valid gzip"
	errHeader    errAnswer = "the back end's answer has a header that is not valid"
	errPartial   errAnswer = "the back end answered a part of what was asked for"
	errRedaction errAnswer = "the back end's answer repeats the credential in a way that cannot be taken out"
)

// checkHead refuses redirects, and what is no answer at all. 304 stays: it answers a
// condition that the plugin set.
func checkHead(resp *http.Response) error {
	for name := range resp.Header {
		if strings.ContainsAny(name, " \t") { // net/http lets it through: RFC 9112 §5.1
			return &broker.Error{Kind: broker.Upstream, Detail: string(errHeader)}
		}
	}
	var err errAnswer
	switch s := resp.StatusCode; {
	case s == http.StatusNotModified:
		return nil
	case s >= 300 && s < 400:
		err = errRedirect
	case s < 200 || s > 599:
		err = errStatus
	case s == http.StatusPartialContent:
		err = errPartial // Range is never sent
	default:
		return nil
	}
	return &broker.Error{Kind: broker.Upstream, Detail: string(err)}
}

// readBody returns the decoded body of resp, at most limit bytes. An answer without a body
// may name any encoding: HEAD, 204 and 304 describe one that was not sent.
func readBody(resp *http.Response, limit, ratio int64) ([]byte, error) {
	if resp.Body == http.NoBody { // of HEAD, whatever length it names
		return nil, nil
	}
	switch strings.ToLower(strings.TrimSpace(strings.Join(resp.Header.Values("Content-Encoding"), ","))) {
	case "", "identity":
		return readAll(resp.Body, resp.ContentLength, limit, nil)
	case "gzip", "x-gzip": // RFC 9110 §8.4.1.3
		raw := &counter{r: resp.Body}
		in := bufio.NewReader(raw)
		if _, err := in.Peek(1); err == io.EOF {
			return nil, nil
		}
		return gunzip(in, raw, limit, ratio)
	}
	if n, err := io.ReadFull(resp.Body, make([]byte, 1)); n == 0 && err == io.EOF {
		return nil, nil
	}
	return nil, errEncoding
}

// gunzip decodes in, which reads from raw.
func gunzip(in io.Reader, raw *counter, limit, ratio int64) ([]byte, error) {
	zr, err := gzip.NewReader(in)
	if err != nil {
		return nil, gzipError(err)
	}
	body, err := readAll(zr, -1, limit, func(decoded int64) error {
		if decoded > ratioFloor && decoded > ratio*raw.n {
			return errRatio
		}
		return nil
	})
	if err != nil {
		return nil, gzipError(err)
	}
	return body, nil
}

// gzipError tells a broken stream from a broken connection, whose error is kept.
func gzipError(err error) error {
	if _, ok := errors.AsType[errAnswer](err); ok {
		return err
	}
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || strings.HasPrefix(err.Error(), "flate: ") {
		return errGzip
	}
	return err
}

// readAll reads r to its end, at most limit bytes, asking ok, if not nil, as it goes.
// expected is how many there should be, -1 if that is not known.
func readAll(r io.Reader, expected, limit int64, ok func(read int64) error) ([]byte, error) {
	if expected > limit {
		return nil, errTooLarge // not a byte of it is read
	}
	room := int64(unknownRead)
	if expected >= 0 {
		room = min(expected, firstRead) + 1 // one more, to see the end
	}
	body := make([]byte, 0, room)
	for {
		if len(body) == cap(body) {
			body = slices.Grow(body, 1)
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if int64(len(body)) > limit {
			return nil, errTooLarge
		}
		if ok != nil {
			if bad := ok(int64(len(body))); bad != nil {
				return nil, bad
			}
		}
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// firstRead is how much is made room for on the back end's word alone, in bytes.
const firstRead = 64 << 10

// unknownRead is how much is made room for when the back end does not say, in bytes: most
// answers of such APIs fit.
const unknownRead = 8 << 10

// counter counts the bytes that were read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
