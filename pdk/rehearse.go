package pdk

import (
	"errors"
	"runtime"
	"strconv"
	"strings"

	"pointsman/pdk/wire"
)

// Rehearse runs fn on a recorded exchange before any request is there, so that what the
// first run prepares (encoding/json's knowledge of types, tables, a tidy heap) is in the
// image that every call's sandbox starts from. Call it from the export pointsman_warm, which
// the host calls once, with an exchange file of the kind that package pdktest plays:
//
//	//go:embed testdata/find.txtar
//	var example string
//
//	//go:wasmexport pointsman_warm
//	func warm() { _ = pdk.Rehearse(pdk.Handler(Weather{}.Find), example) }
//
// Its requests reach nobody: they are answered with the replies of the file, in order. It
// must hold made-up data only, because the image is the same for every consumer. The error
// says why the file cannot be played, or what fn failed with; a test of the plugin looks at
// it, a module that could not rehearse is merely slower.
//
// Where the host keeps no image and initializes the module for each call, it does nothing.
func Rehearse(fn Function, exchange string) error {
	if !kept() {
		return nil
	}
	r, err := readRehearsal(exchange)
	if err != nil {
		return err
	}
	// Twice: the first run fills caches, the second goes the way that calls will go.
	for range 2 {
		r.next = 0
		if _, err := fn(r.host(), r.input); err != nil {
			return err
		}
	}
	runtime.GC() // so that calls find a heap with room, not one full of rehearsals
	return nil
}

// rehearsal plays the host.
type rehearsal struct {
	input   []byte
	replies [][]byte // frames, see package wire
	calls   bool     // calls of other plugins are among them
	next    int
}

// Call answers requests with the replies in turn, and refuses when there is none left.
func (r *rehearsal) Call(capability, op string, _ []byte) []byte {
	switch {
	case op == "fetch":
		return wire.Done([]byte(`{"parcel":1}`))
	case capability == "parcel":
		return rehearseParcel(op)
	}
	switch capability {
	case "http", "sql":
	case "pointer":
		return rehearsePointer(op)
	case "kv":
		return rehearseKV(op)
	case "call":
		if !r.calls { // as where the grant has no view
			return wire.Done([]byte("null"))
		}
	default:
		return wire.Done(nil)
	}
	if r.next == len(r.replies) {
		return wire.Failed(wire.Error{Code: wire.Denied, Message: "the exchange has no more replies"})
	}
	r.next++
	switch capability {
	case "sql":
		return rehearseSQL(r.replies[r.next-1])
	case "call":
		return rehearseCall(r.replies[r.next-1])
	}
	return r.replies[r.next-1]
}

// readRehearsal reads the sections "call" and "reply" of an exchange file.
func readRehearsal(exchange string) (*rehearsal, error) {
	r := &rehearsal{}
	for _, section := range strings.Split("\n"+exchange, "\n-- ")[1:] {
		name, text, _ := strings.Cut(section, " --\n")
		switch name {
		case "call":
			_, input, _ := strings.Cut(text, "\n") // behind the function's name
			r.input = []byte(input)
		case "request":
			r.calls = r.calls || strings.HasPrefix(text, "CALL ")
		case "reply":
			frame, err := replyFrame(text)
			if err != nil {
				return nil, err
			}
			r.replies = append(r.replies, wire.Done(frame))
		}
	}
	if r.input == nil {
		return nil, errors.New("pdk: the exchange has no section call with an input")
	}
	return r, nil
}

// replyFrame is a reply as the host frames it: a line with the status, headers, an empty
// line, the body.
func replyFrame(text string) ([]byte, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	first, headers, _ := strings.Cut(head, "\n")
	status, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		return nil, errors.New("pdk: a reply of the exchange does not begin with a status")
	}
	reply := wire.HTTPReply{Status: status}
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
		reply.Header = append(reply.Header, wire.Field{Name: name, Value: value})
	}
	return wire.Frame(reply, []byte(body))
}

// rehearsePointer answers with made-up ones.
func rehearsePointer(op string) []byte {
	if op == "open" {
		return wire.Done([]byte(`{"id":"rehearsed"}`))
	}
	return wire.Done([]byte(`{"pointer":"ptr_rehearsed"}`))
}

// rehearseParcel answers as if there were one document.
func rehearseParcel(op string) []byte {
	switch op {
	case "read", "status":
		return wire.Done([]byte("{}"))
	case "has":
		return wire.Done([]byte(`{"has":true}`))
	case "size":
		return wire.Done([]byte(`{"size":2}`))
	}
	return wire.Done([]byte(`{"parcel":1}`))
}
