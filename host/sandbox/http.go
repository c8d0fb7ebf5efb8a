package sandbox

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"strings"

	"pointsman/pdk/wire"
)

// httpState is what Extism's http functions know of a call's last request.
type httpState struct {
	status  int               // 0: there was none that was answered
	headers map[string]string // names in lower case; several values of one are joined by commas
	ended   *GuestError       // the request that ended the guest; nil: none did
}

// extismHTTP is Extism's own interface to the network, for modules that are lent the
// operation http.url: a third door to it, see package wire. The functions do what go-sdk's do,
// but through the operation, so that a guest that was made for any host of Extism reaches what
// it was granted and nothing else.
func extismHTTP(i Import) []hostFunc {
	if i.Capability != "http" || i.Op != "url" {
		return nil
	}
	return []hostFunc{
		env("http_request", "II:I", func(ctx context.Context, c *call, s []uint64) { s[0] = c.httpRequest(ctx, i, s[0], s[1]) }),
		env("http_status_code", ":i", func(_ context.Context, c *call, s []uint64) { s[0] = uint64(c.http.status) }),
		env("http_headers", ":I", httpHeaders),
	}
}

// httpRequest sends the request that is a block of JSON, with the block of its body, 0 for
// none. It frees both, as go-sdk does, and returns the block of the answer's body, 0 for an
// empty one.
//
// Extism has no way to tell a guest that a request was refused or has failed: its hosts end
// the guest, and so does this. The call then ends with the error that a guest of our own PDK
// would have handed on, so that nobody needs to know which kind of guest it was.
func (c *call) httpRequest(ctx context.Context, i Import, request, body uint64) uint64 {
	const op = "http_request"
	c.http = httpState{}
	head, content := c.whole(op, request), c.whole(op, body)
	var reply []byte
	if len(head)+len(content) > maxRequest {
		reply = c.refuse()
	} else {
		frame := frameOf(head, content)
		c.kernel.free(request)
		c.kernel.free(body)
		reply = c.do(ctx, i, frame)
	}
	payload, err := wire.ParseReply(reply)
	if err != nil {
		c.endWith(op, err)
	}
	head, content, err = wire.SplitFrame(payload)
	var answer wire.HTTPReply
	if err == nil {
		err = json.Unmarshal(head, &answer)
	}
	if err != nil {
		c.abort(ABI, "%s: the operation answered no frame of an HTTP reply", op)
	}
	c.http = httpState{status: answer.Status, headers: joined(answer.Header)}
	at, ok := c.kernel.put(content)
	if !ok {
		c.abort(ABI, "%s: no room for an answer of %d bytes", op, len(content))
	}
	return at
}

// frameOf is the frame of a head that is JSON already; see package wire.
func frameOf(head, body []byte) []byte {
	frame := make([]byte, 0, 4+len(head)+len(body))
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(head)))
	return append(append(frame, head...), body...)
}

// joined are the fields by name, as go-sdk gives them to guests.
func joined(fields []wire.Field) map[string]string {
	headers := map[string]string{}
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if before, ok := headers[name]; ok {
			f.Value = before + "," + f.Value
		}
		headers[name] = f.Value
	}
	return headers
}

// httpHeaders returns the block of the last answer's headers, as a JSON object; 0 when there
// was no answer.
func httpHeaders(_ context.Context, c *call, s []uint64) {
	s[0] = 0
	if c.http.headers == nil {
		return
	}
	text, err := json.Marshal(c.http.headers)
	if err != nil { // strings always marshal
		c.abort(ABI, "http_headers: %T", err)
	}
	at, ok := c.kernel.put(text)
	if !ok {
		c.abort(ABI, "http_headers: no room for %d bytes", len(text))
	}
	s[0] = at
}

// endWith ends the guest because of a request that was refused or has failed with cause.
func (c *call) endWith(op string, cause error) {
	text, err := json.Marshal(cause) // a *wire.Error, unless the operation broke its promise
	said, ok := cause.(*wire.Error)
	if err != nil || !ok {
		c.abort(ABI, "%s: the operation answered no reply", op)
	}
	c.http.ended = &GuestError{Export: c.export, Code: 1, Text: string(text), HostCall: c.hostCall}
	c.abort(Trap, "%s: %s", op, said.Code)
}

// unwound is the error of a guest that an http_request ended. It is a *GuestError to callers;
// to an engine it is a guest that broke off, whose instance is not used again.
type unwound struct{ *GuestError }

func (u unwound) Unwrap() error { return u.GuestError }
