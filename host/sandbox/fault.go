package sandbox

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"pointsman/host/wasm"
)

const (
	maxDetail = 1 << 10 // bytes of Fault.Detail
	maxFrames = 16      // guest functions named in it
)

// stackMark precedes the functions in wazero's errors, one a line, innermost first.
const stackMark = "wasm stack trace:"

// wazero's word for a stack that is full. Its error values are not exported.
const stackOverflow = "stack overflow"

// broken turns an error of the engine into a fault. The fault that a host function
// recorded comes first: it is why the engine stopped. A guest that http_request ended gets
// the error that says why instead; see httpRequest.
func (c *call) broken(err error) error {
	if c.http.ended != nil {
		return unwound{c.http.ended}
	}
	var reason string
	var functions []string
	if err != nil {
		reason, functions = takeApart(err.Error())
	}
	f := &Fault{Kind: Trap, Export: c.export, Detail: reason, HostCall: c.hostCall}
	if strings.Contains(reason, stackOverflow) {
		f.Kind = Depth
	}
	if c.fault != nil {
		*f = *c.fault
	}
	if c.stage != serving && c.export != "" { // "": there is no call, see InitError
		functions = append(functions, "during "+string(c.stage))
	}
	if len(functions) > 0 {
		f.Detail = strings.TrimSpace(f.Detail + " [" + strings.Join(functions, " < ") + "]")
	}
	f.Detail = atMost(printable(f.Detail), maxDetail)
	return f
}

// endOr returns ctx's own error when it has ended, and else err.
func endOr(ctx context.Context, err error) error {
	if _, over := overdue(ctx); over {
		return cmp.Or(ctx.Err(), context.DeadlineExceeded)
	}
	return err
}

// takeApart splits the text of a wazero error into its reason and the guest's functions.
// Go's own stack, if any, is left out, and so are the host's functions. A function that
// calls itself is named once, with the number of its frames.
func takeApart(text string) (reason string, functions []string) {
	reason, stack, _ := strings.Cut(text, stackMark)
	reason = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(reason), "wasm error: "))
	stack, _, _ = strings.Cut(stack, "\n\n") // what follows is Go's
	last, times := "", 0
	flush := func() {
		switch {
		case last == "" || len(functions) == maxFrames:
		case times == 1:
			functions = append(functions, last)
		default:
			functions = append(functions, fmt.Sprintf("%s x%d", last, times))
		}
	}
	for line := range strings.SplitSeq(stack, "\n") {
		// A line is "module.function(types) result"; function may hold parentheses itself.
		line = strings.TrimPrefix(strings.TrimSpace(line), ".")
		i := strings.LastIndex(line, "(")
		if i <= 0 || isHost(line) {
			continue
		}
		if name := line[:i]; name != last {
			flush()
			last, times = name, 0
		}
		times++
	}
	flush()
	return reason, functions
}

// isHost reports whether a frame is the host's: a function of ours, or one that
// host/wasm added. A guest that names its own functions so hides them from its own log.
func isHost(function string) bool {
	for _, prefix := range []string{"pointsman.", wasm.ReservedPrefix, "extism:", wasiModule + "."} {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}
