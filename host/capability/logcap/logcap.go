// Package logcap owns the power to write to the log: what plugins say, cut, escaped and
// under their own name.
package logcap

import (
	"context"
	"fmt"
	"regexp"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/pdk/wire"
)

// Limits of what a plugin can say. A record of this size fits one line of 4 KiB.
const (
	maxMessage = 1 << 10 // bytes; the rest is cut
	maxFields  = 8
	maxName    = 64  // bytes
	maxValue   = 256 // bytes; the rest is cut
	maxLines   = 100 // per call; a call lasts a second at most, and nobody reads more
)

// Record is what a plugin said. Its text is escaped but untrusted: it belongs in fields
// of its own, never into a message of the host's.
type Record struct {
	Plugin  string
	Call    broker.Call // whose call it was
	Level   string      // debug, info, warn or error
	Message string
	Fields  []wire.Field
}

// Sink receives records. Safe for concurrent use.
type Sink interface {
	PluginLog(ctx context.Context, r Record)
}

// Log lends the operation "write", which takes a wire.LogRecord and answers nothing.
type Log struct{ Sink Sink }

// Name is "log".
func (*Log) Name() string { return "log" }

// Ops is "write".
func (*Log) Ops() []string { return []string{"write"} }

// Bind takes the grant {} or {clear}: labels that the plugin may have seen and still write.
func (l *Log) Bind(scope capability.Scope) (map[string]capability.Op, error) {
	if len(scope.Grant) == 0 || string(scope.Grant) == "null" {
		return nil, nil
	}
	var g struct {
		Clear []string `json:"clear"`
	}
	if err := capability.Decode(scope.Grant, &g); err != nil {
		return nil, err
	}
	w := &writer{plugin: scope.Plugin, sink: l.Sink, clear: broker.NewLabels(g.Clear...)}
	return map[string]capability.Op{"write": w.plan}, nil
}

// writer is the log of one plugin in one release.
type writer struct {
	plugin string
	sink   Sink
	clear  broker.Labels
	lines  counter
}

func (w *writer) plan(request []byte) (capability.Planned, error) {
	var asked wire.LogRecord
	if err := capability.Decode(request, &asked); err != nil {
		return capability.Planned{}, err
	}
	if err := check(asked); err != nil {
		return capability.Planned{}, &broker.Error{Kind: broker.Invalid, Detail: err.Error()}
	}
	r := Record{Plugin: w.plugin, Level: asked.Level, Message: clean(asked.Message, maxMessage)}
	for _, f := range asked.Fields {
		r.Fields = append(r.Fields, wire.Field{Name: f.Name, Value: clean(f.Value, maxValue)})
	}
	return capability.Planned{Resource: "log", Clear: w.clear, Do: func(ctx context.Context) ([]byte, error) { return nil, w.write(ctx, r) }}, nil
}

// nameRE keeps field names to what every log store takes for one.
var nameRE = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]*$`)

func check(r wire.LogRecord) error {
	switch r.Level {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("the level must be debug, info, warn or error")
	}
	if len(r.Fields) > maxFields {
		return fmt.Errorf("a log record has at most %d fields", maxFields)
	}
	for i, f := range r.Fields {
		if len(f.Name) > maxName || !nameRE.MatchString(f.Name) {
			return fmt.Errorf("the name of field %d must be a letter and at most %d letters, digits, _ . or -", i+1, maxName-1)
		}
	}
	return nil
}

// write hands r to the sink, unless its call has said enough.
func (w *writer) write(ctx context.Context, r Record) error {
	if err := ctx.Err(); err != nil {
		return &broker.Error{Kind: broker.Canceled, Detail: "the request was canceled", Err: err}
	}
	r.Call, _ = broker.CallFrom(ctx)
	switch n := w.lines.add(key{r.Call.Request, r.Call.Step}); {
	case n < maxLines:
		w.sink.PluginLog(ctx, r)
	case n == maxLines:
		w.sink.PluginLog(ctx, Record{Plugin: r.Plugin, Call: r.Call, Level: "warn",
			Message: fmt.Sprintf("more than %d log records in one call; the rest is dropped", maxLines)})
	}
	return nil
}
