// Package pdk owns the guest's side of the boundary: what the author of a plugin written in
// Go imports. It uses the standard library only, so that it can be copied into any plugin.
//
// A plugin is a type whose methods take a *Host and a typed input, and a main.go that
// exports them:
//
//	func (w Weather) Get(h *pdk.Host, in GetInput) (*Report, error)
//
//	//go:wasmexport get
//	func get() int32 { return pdk.Serve(Weather{}.Get) }
//
// # What crosses the boundary
//
// Input and output are JSON. A failure leaves as a wire.Error in JSON, with return code 1;
// make it with Errorf or RateLimited. Any other error becomes "permanent" and its text stays
// inside, because it may hold what a back end said.
//
// A panic in plugin code is recovered and reported as "permanent" with the function, file
// and line that panicked, never the panic's value: the runtime would print the value, which
// may be a person's data, and exit. Faults that Go cannot recover from (stack overflow, out
// of memory) end the guest.
//
// # Powers
//
// A module imports only what its code can reach: a plugin that never calls Host.Do does not
// import pointsman:http, and so need not be granted it. The same holds for Host.Log.
package pdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// Function is an exported function as the host sees it: JSON in, JSON or an error out.
// An error that it returns is always an *Error.
type Function func(h *Host, input []byte) (output []byte, err error)

// Handler turns a typed method into a Function: it decodes the input, refusing unknown
// fields and trailing data, runs fn, and encodes what it returns. Serve does the same and
// the reading and writing; tests hand a Handler to pdktest.
func Handler[In, Out any](fn func(*Host, In) (Out, error)) Function {
	return func(h *Host, input []byte) (output []byte, err error) {
		defer func() {
			if recover() != nil { // the value stays here: it may hold personal data
				output, err = nil, Errorf(Permanent, "%s %s", PanicMessage, panicPlace())
			}
		}()
		var in In
		if err := decodeInput(input, &in); err != nil {
			return nil, err
		}
		out, err := fn(h, in)
		if err != nil {
			return nil, asError(err)
		}
		output, err = json.Marshal(out)
		if err != nil {
			return nil, Errorf(Permanent, "the output of type %T cannot be written as JSON", out)
		}
		return output, nil
	}
}

// PanicMessage begins the message of an Error that stands for a panic.
const PanicMessage = "the plugin panicked in"

// decodeInput reads one JSON value into v. Its errors name fields of v, nothing of the input.
func decodeInput(input []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(input))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		return Errorf(Permanent, "input: something follows the JSON value")
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return Errorf(Permanent, "input: field %q must be %s", e.Field, e.Type)
	}
	if strings.HasPrefix(err.Error(), "json: unknown field ") { // its name may be somebody's data
		return Errorf(Permanent, "input: it has a field that this function does not take")
	}
	return Errorf(Permanent, "input: not the JSON that this function takes")
}

// panicPlace names the function, file and line that panicked. It must be called by a
// deferred function while the panic is being recovered.
func panicPlace() string {
	var pcs [32]uintptr // frames: the runtime's own take fewer than 10
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			return f.Function + " at " + path.Base(f.File) + ":" + strconv.Itoa(f.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}
