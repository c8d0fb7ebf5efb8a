// Package wire owns the messages that host and guest exchange: their shapes and
// their bytes. It imports the standard library only, so that a plugin can vendor it.
//
// # The two doors
//
// Every operation of a capability is offered twice, with the same bytes:
//
//	pointsman:<capability>.<op>(ptr i64, len i64) -> i64
//	    The request lies in the guest's own memory. The result is the length of
//	    the reply, which pointsman:rt.reply_read(ptr i64, len i64) -> i64 then
//	    copies out; a reply can be read once.
//	extism:host/user.pointsman_<capability>_<op>(offset i64) -> i64
//	    Extism's convention: request and reply are kernel blocks.
//
// The operation http.url has a third, Extism's own, which plugins have that know nothing of
// this host; see URLRequest:
//
//	extism:host/env.http_request(request i64, body i64) -> i64
//	extism:host/env.http_status_code() -> i32
//	extism:host/env.http_headers() -> i64
//
// # Input and output
//
// Extism's functions move 8 bytes at a time between the kernel and the guest. These move
// all of it, and see the same input, output and error:
//
//	pointsman:rt.input_length() -> i64
//	pointsman:rt.input_read(ptr i64, room i64) -> i64
//	    Copies the input to the guest's memory and returns its length. Less room than
//	    that ends the guest.
//	pointsman:rt.output_write(ptr i64, len i64)
//	pointsman:rt.error_write(ptr i64, len i64)
//	    What lies in the guest's memory becomes the output or the error, as by output_set
//	    and error_set.
//
// # Preparing
//
//	pointsman:rt.kept() -> i32
//	    1 while the guest is initialized and what it leaves becomes the image that all
//	    later calls begin with; 0 in calls, and where initializers run for one call alone.
//	    A long preparation pays in the first case only.
//
// # A reply
//
//	offset 0   1 byte    0: done, 1: refused or failed
//	offset 1   the rest  done: what the operation answers; failed: an Error as JSON
//
// # A frame
//
// Operations that carry a payload (http) use a frame, so that a payload is never
// quoted inside JSON:
//
//	offset 0   4 bytes   n, the length of the head, little endian
//	offset 4   n bytes   the head, JSON
//	offset 4+n the rest  the body, as it is
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
)

// Module names that a guest imports from.
const (
	ModulePrefix  = "pointsman:"       // followed by the capability's name
	RuntimeModule = "pointsman:rt"     // reply_read, input_read, output_write ...
	ExtismUser    = "extism:host/user" // operations as pointsman_<capability>_<op>
	ExtismEnv     = "extism:host/env"  // Extism's own ABI
)

// PluginSection is the custom section of a module that carries its author's plugin.yaml.
const PluginSection = "pointsman.plugin"

// Code says what kind of failure a plugin reports or is told. The words are part of
// the contract with integrators and never change their meaning.
type Code string

const (
	Config      Code = "config"       // the plugin's configuration cannot work
	Auth        Code = "auth"         // the back end refuses the credential
	NotFound    Code = "not_found"    // there is no such record
	RateLimited Code = "rate_limited" // the back end asks to wait; see Error.AfterMS
	Transient   Code = "transient"    // trying again later may help
	Permanent   Code = "permanent"    // trying again will not help
	Denied      Code = "denied"       // the grant does not cover it
)

// Valid reports whether c is one of the words above.
func (c Code) Valid() bool {
	switch c {
	case Config, Auth, NotFound, RateLimited, Transient, Permanent, Denied:
		return true
	}
	return false
}

// Error is a failure as it crosses the boundary, in either direction.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`            // a sentence for the integrator; never upstream text
	AfterMS int64  `json:"after_ms,omitempty"` // RateLimited, Transient: milliseconds to wait, 0 if unknown
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

const (
	replyDone   = 0
	replyFailed = 1
)

var (
	errEmptyReply = errors.New("wire: empty reply")
	errReplyByte  = errors.New("wire: first byte of reply is neither 0 nor 1")
	errFrame      = errors.New("wire: frame is shorter than its head")
)

// Done returns the reply of an operation that answered payload. It copies payload.
func Done(payload []byte) []byte {
	b := make([]byte, 0, 1+len(payload))
	return append(append(b, replyDone), payload...)
}

// Failed returns the reply of an operation that was refused or failed.
func Failed(e Error) []byte {
	body, err := json.Marshal(e)
	if err != nil { // an Error holds strings and a number: they always marshal
		body = []byte(`{"code":"permanent","message":"unprintable error"}`)
	}
	return append([]byte{replyFailed}, body...)
}

// ParseReply takes a reply apart. The payload shares memory with b.
// A failed operation is returned as *Error.
func ParseReply(b []byte) (payload []byte, err error) {
	if len(b) == 0 {
		return nil, errEmptyReply
	}
	switch b[0] {
	case replyDone:
		return b[1:], nil
	case replyFailed:
		e := new(Error)
		if err := json.Unmarshal(b[1:], e); err != nil {
			return nil, err
		}
		return nil, e
	}
	return nil, errReplyByte
}

// frameHead is the size of the length before a frame's head, in bytes.
const frameHead = 4

// Frame returns head, as JSON, and body in one message. It copies body.
func Frame(head any, body []byte) ([]byte, error) {
	h, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, frameHead+len(h)+len(body))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(h)))
	return append(append(b, h...), body...), nil
}

// SplitFrame takes a frame apart; both parts share memory with b. Decoding the
// head is the caller's: the host does it strictly, a guest with encoding/json.
func SplitFrame(b []byte) (head, body []byte, err error) {
	if len(b) < frameHead {
		return nil, nil, errFrame
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n > uint64(len(b)-frameHead) {
		return nil, nil, errFrame
	}
	return b[frameHead : frameHead+n], b[frameHead+n:], nil
}
