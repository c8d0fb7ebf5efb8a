package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"pointsman/pdk/wire"
)

func TestParseReplyRefuses(t *testing.T) {
	for name, reply := range map[string][]byte{
		"nothing": nil, "another first byte": {2, '{', '}'}, "a failure that is no JSON": {1, 'x'}, "a failure without text": {1},
	} {
		payload, err := wire.ParseReply(reply)
		if failure, ok := errors.AsType[*wire.Error](err); err == nil || ok || payload != nil {
			t.Errorf("%s: payload %q, error %v (a *wire.Error: %v), want an error of the format", name, payload, err, failure)
		}
	}
}

func TestReplies(t *testing.T) {
	payload, err := wire.ParseReply(wire.Done([]byte("text")))
	if err != nil || string(payload) != "text" {
		t.Errorf("done: %q, %v", payload, err)
	}
	want := wire.Error{Code: wire.RateLimited, Message: "wait", AfterMS: 1500}
	_, err = wire.ParseReply(wire.Failed(want))
	if got, ok := errors.AsType[*wire.Error](err); !ok || *got != want {
		t.Errorf("failed: %v, want %v", err, want)
	}
}

func TestSplitFrameRefuses(t *testing.T) {
	for name, frame := range map[string][]byte{
		"nothing": nil, "half a length": {1, 0, 0}, "a head longer than the frame": {3, 0, 0, 0, '{', '}'},
		"a length of all ones": {0xff, 0xff, 0xff, 0xff, '{', '}'},
	} {
		if head, body, err := wire.SplitFrame(frame); err == nil {
			t.Errorf("%s: head %q, body %q, want an error", name, head, body)
		}
	}
}

func TestCodes(t *testing.T) {
	for _, c := range []wire.Code{wire.Config, wire.Auth, wire.NotFound, wire.RateLimited, wire.Transient, wire.Permanent, wire.Denied} {
		if !c.Valid() {
			t.Errorf("%q is not valid", c)
		}
	}
	if wire.Code("").Valid() || wire.Code("Denied").Valid() {
		t.Error("a word that is none is valid")
	}
}

// FuzzFrame: whatever splits is the head and the body that it was made of, and nothing is
// read beyond the bytes that are there.
func FuzzFrame(f *testing.F) {
	frame, err := wire.Frame(wire.HTTPRequest{Backend: "crm", Method: "GET", Path: "/"}, []byte("body"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		head, body, err := wire.SplitFrame(b)
		if err != nil {
			return
		}
		if len(head)+len(body)+4 != len(b) || !bytes.HasSuffix(b, body) {
			t.Fatalf("split %d bytes into %d and %d", len(b), len(head), len(body))
		}
		if !json.Valid(head) {
			return
		}
		again, err := wire.Frame(json.RawMessage(head), body)
		if err != nil {
			t.Fatal(err)
		}
		head2, body2, err := wire.SplitFrame(again)
		if err != nil || !bytes.Equal(body, body2) || !json.Valid(head2) {
			t.Fatalf("made again: head %q, body %q, %v", head2, body2, err)
		}
	})
}

// FuzzReply: a payload comes back as it was sent, a failure as a failure.
func FuzzReply(f *testing.F) {
	f.Add([]byte("text"))
	f.Add([]byte{1, '{', '}'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if payload, err := wire.ParseReply(wire.Done(b)); err != nil || !bytes.Equal(payload, b) {
			t.Fatalf("done: %q, %v", payload, err)
		}
		if payload, err := wire.ParseReply(b); err == nil && (len(b) == 0 || b[0] != 0 || !bytes.Equal(payload, b[1:])) {
			t.Fatalf("%q parsed as %q", b, payload)
		}
	})
}
