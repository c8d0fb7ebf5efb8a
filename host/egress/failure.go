package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"pointsman/host/broker"
)

// classify turns a failed exchange into a *broker.Error. Library text goes no further: it
// may quote the URL, or what the back end sent. caller is the context that Do was given.
func classify(caller context.Context, err error) error {
	if e, ok := errors.AsType[errAnswer](err); ok {
		return &broker.Error{Kind: broker.Upstream, Detail: string(e)}
	}
	if e, ok := errors.AsType[*broker.Error](err); ok {
		return e // said where it was known
	}
	if errors.Is(err, errClientCertificate) {
		return &broker.Error{Kind: broker.Unavailable, Detail: "the back end's client certificate is not available", Err: errClientCertificate}
	}
	if errors.Is(caller.Err(), context.Canceled) {
		return &broker.Error{Kind: broker.Canceled, Detail: "the request was canceled", Err: context.Canceled}
	}
	if errors.Is(err, errAddress) {
		return &broker.Error{Kind: broker.Denied, Detail: "the back end has an address that is not allowed", Err: dialError(err)}
	}
	if isTimeout(caller, err) {
		return &broker.Error{Kind: broker.UpstreamTimeout, Detail: "the back end did not answer in time", Err: errors.Join(dialError(err), context.DeadlineExceeded)}
	}
	detail, cause := reason(err)
	return &broker.Error{Kind: broker.Upstream, Detail: detail, Err: cause}
}

// isOurs reports whether err was decided here: the exchange did not fail by itself.
func isOurs(err error) bool {
	_, answer := errors.AsType[errAnswer](err)
	_, said := errors.AsType[*broker.Error](err)
	return answer || said || errors.Is(err, errAddress) || errors.Is(err, errClientCertificate)
}

func isTimeout(caller context.Context, err error) bool {
	if caller.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// reason says what failed, for the plugin and for the log.
func reason(err error) (detail string, cause error) {
	if e := dialError(err); e != nil {
		return "the back end cannot be reached", e
	}
	if text := tlsReason(err); text != "" {
		return "the back end's TLS is not to be trusted", errors.New("tls: " + text)
	}
	for known, text := range map[error]string{
		io.EOF:              "connection closed before the answer",
		io.ErrUnexpectedEOF: "connection closed within the answer",
		syscall.ECONNRESET:  "connection reset",
		syscall.EPIPE:       "connection closed while sending",
		context.Canceled:    "canceled",
	} {
		if errors.Is(err, known) {
			return "the back end broke off its answer", errors.New(text)
		}
	}
	// What is left has no type to tell it by. The text begins with our own library's words.
	text := err.Error()
	switch {
	case strings.Contains(text, "server response headers exceeded"), strings.Contains(text, "too many 1xx"):
		return "the back end's answer has a header that is too large", errors.New("header too large")
	case strings.Contains(text, "server closed idle connection"):
		return "the back end broke off its answer", errors.New("idle connection closed")
	case strings.Contains(text, "malformed"), strings.Contains(text, "unexpected"), strings.Contains(text, "invalid"), strings.Contains(text, "bad "):
		return "the back end's answer is not valid HTTP", errors.New("malformed answer")
	}
	return "the exchange with the back end failed", errors.New("transport")
}

// dialError returns what can be logged of an error before there was a connection: names
// and addresses, which are the admin's. It is nil for errors after that.
func dialError(err error) error {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("resolve: " + e.Err)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		if errors.Is(e.Err, errAddress) {
			return e.Err // judge's words
		}
		if errno, ok := errors.AsType[syscall.Errno](e.Err); ok {
			return errors.New("dial: " + errno.Error())
		}
		return errors.New("dial: failed")
	}
	return nil
}

// tlsReason says why a handshake failed, "" if that is not what happened.
func tlsReason(err error) string {
	if errors.Is(err, errPin) {
		return "no key of the certificate chain is pinned; see tls.pins"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "certificate of an unknown authority; name it with tls.ca"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "certificate for another name"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return "certificate expired or not valid yet"
		}
		return "certificate not valid"
	}
	if e, ok := errors.AsType[tls.AlertError](err); ok {
		return e.Error() // a word of the standard for a number
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the back end does not speak TLS"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "certificate not valid"
	}
	if strings.HasPrefix(err.Error(), "tls: ") {
		return "handshake failed" // such as a version that is too old
	}
	return ""
}
