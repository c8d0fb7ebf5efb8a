package sandbox

import (
	"context"
	"errors"
	"slices"

	extism "github.com/extism/go-sdk"

	"pointsman/host/wasm"
)

// haskellInit is what modules export that were compiled from Haskell: it takes the number
// of arguments and where they are, and has to run before anything else, but after
// _initialize. go-sdk runs both of its own accord.
const haskellInit = "hs_init"

func isHaskellInit(t wasm.FuncType) bool { return t.Equal(sig("ii")) }

// checkInit refuses a module whose hs_init is not Haskell's: go-sdk calls whatever has the
// name, before anything else, and the engines would not agree.
func checkInit(info *wasm.Info) error {
	for _, e := range info.Exports {
		switch {
		case e.Name != haskellInit:
		case e.Kind != wasm.FuncExport || !isHaskellInit(e.Type):
			return errors.New("export hs_init is not the function (i32, i32) that Haskell's compiler makes")
		case info.Start:
			return errors.New("export hs_init and a start function: Haskell's compiler makes no such module")
		}
	}
	return nil
}

// runInitializer runs one of the names on an instance of go-sdk's.
func runInitializer(ctx context.Context, guest *extism.Plugin, name string, all []string) error {
	switch {
	case name == haskellInit:
		return initializeHaskell(ctx, guest)
	case slices.Contains(all, haskellInit) && name == "_initialize":
		return nil // with hs_init
	}
	_, _, err := guest.CallWithContext(ctx, name, nil)
	return err
}

// initializeHaskell has go-sdk run _initialize and hs_init. It does so before the first call
// of anything, and cannot call hs_init itself, for want of arguments: what it says of that
// call is no fault of the guest.
func initializeHaskell(ctx context.Context, guest *extism.Plugin) error {
	_, _, err := guest.CallWithContext(ctx, haskellInit, nil)
	if err != nil && err.Error() == "expected 2 params, but passed 0" {
		return nil
	}
	if err == nil {
		return errors.New("hs_init took no arguments")
	}
	return err
}

// initializeHaskell runs hs_init without arguments.
func (i *instance) initializeHaskell(r *record) error {
	if _, err := i.guest.ExportedFunction(haskellInit).Call(r, 0, 0); err != nil || r.fault != nil {
		return r.broken(err)
	}
	return nil
}
