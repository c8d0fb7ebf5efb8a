package pdk

import "encoding/json"

// Host is what a plugin can ask for during one call. It is made by Serve, or by Rehearse.
type Host struct {
	rehearsal *rehearsal // nil in a call; otherwise it answers in the host's place
}

// Serve answers one call: it reads the input, runs fn as Handler does, and writes what it
// returns. Its result is the exported function's: 0 done, 1 failed.
func Serve[In, Out any](fn func(*Host, In) (Out, error)) int32 {
	return serve(Handler(fn))
}

func serve(fn Function) int32 {
	output, err := fn(new(Host), readInput())
	if err == nil {
		writeOutput(output)
		return 0
	}
	text, err := json.Marshal(asError(err))
	if err != nil { // an Error holds strings and a number: they always marshal
		text = []byte(`{"code":"permanent","message":"unprintable error"}`)
	}
	writeError(text)
	return 1
}
