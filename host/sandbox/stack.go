package sandbox

import (
	"reflect"

	"github.com/tetratelabs/wazero/api"
)

// maxStacks is how many bytes of stack the functions of an idle instance keep, together.
// wazero gives each 10 KiB at first, doubles it as often as it is too small, to 100 MB, and
// never makes it smaller. A standard Go plugin decoding JSON nested 300 deep needs less.
const maxStacks = 1 << 20

// guestFunction is an export with wazero's stack for it.
type guestFunction struct {
	api.Function
	stack   reflect.Value // wazero's own; the zero Value when it cannot be seen
	counted int           // bytes of it in instance.stacks
}

// newGuestFunction looks into wazero's function: how large its stack is, wazero does not
// tell. Nothing is written there. Should another version of wazero have no such field, no
// stack is kept, and every call makes a new one; TestAllocationsOfACall would say so.
func newGuestFunction(f api.Function) *guestFunction {
	g := &guestFunction{Function: f}
	at := reflect.ValueOf(f)
	if at.Kind() != reflect.Pointer || at.Elem().Kind() != reflect.Struct {
		return g
	}
	if s := at.Elem().FieldByName("stack"); s.Kind() == reflect.Slice && s.Type().Elem().Kind() == reflect.Uint8 {
		g.stack = s
	}
	return g
}

// size is how large the stack is now, in bytes, and more than is ever kept if nobody knows.
func (g *guestFunction) size() int {
	if !g.stack.IsValid() {
		return maxStacks + 1
	}
	return g.stack.Cap()
}

// callKept is call for a function that the instance keeps at slot for the next one, unless
// there is too much stack then.
func (i *instance) callKept(r *record, slot **guestFunction, name string) (code uint32, err error) {
	f := *slot
	if f == nil {
		f = newGuestFunction(i.guest.ExportedFunction(name))
		*slot = f
	}
	code, err = i.call(r, f.Function)
	size := f.size()
	i.stacks += size - f.counted
	f.counted = size
	if i.stacks > maxStacks {
		i.stacks -= size
		*slot = nil
	}
	return code, err
}
