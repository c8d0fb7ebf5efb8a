package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Options chooses and sets up an engine. The zero value works.
type Options struct {
	// Engine is the name of an engine, "snapshot" or "extism". "" and "auto" take
	// snapshot where its self-test passes, and extism with a warning where it does not.
	Engine string
	Log    *slog.Logger // where that warning goes; nil means slog.Default

	Logger   Logger           // nil drops what guests write
	Clock    func() time.Time // nil means time.Now; guests see it at whole milliseconds
	Random   io.Reader        // nil means crypto/rand; safe for concurrent use
	Compiler *Compiler        // see ExtismOptions.Compiler
	Pages    *Pages           // see SnapshotOptions.Pages
	Idle     int              // see SnapshotOptions.Idle
}

// Engines are the values of Options.Engine.
func Engines() []string { return []string{"auto", "snapshot", "extism"} }

// selfTestTime bounds the self-test: some milliseconds are usual.
const selfTestTime = 20 * time.Second

// New returns the engine that o asks for. An engine that is an io.Closer is to be closed
// after its modules.
func New(o Options) (Engine, error) {
	switch o.Engine {
	case "", "auto", "snapshot":
		e, err := newTested(o)
		if err == nil {
			return e, nil
		}
		if o.Engine == "snapshot" {
			return nil, err
		}
		if o.Log == nil {
			o.Log = slog.Default()
		}
		o.Log.Warn("the snapshot engine does not work here; the portable one, extism, takes its place and is much slower", "err", err)
	case "extism":
	default:
		return nil, fmt.Errorf("no engine %q: want one of %q", o.Engine, Engines())
	}
	if o.Pages != nil {
		o.Pages.dirty.close()
	}
	return NewExtism(ExtismOptions{Logger: o.Logger, Clock: o.Clock, Random: o.Random, Compiler: o.Compiler})
}

func newTested(o Options) (*Snapshot, error) {
	e, err := NewSnapshot(SnapshotOptions{Logger: o.Logger, Clock: o.Clock, Random: o.Random, Compiler: o.Compiler, Pages: o.Pages, Idle: o.Idle})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), selfTestTime)
	defer cancel()
	if err := e.SelfTest(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}
