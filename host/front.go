package host

import (
	"context"
	"log/slog"

	"pointsman/host/broker"
	"pointsman/host/capability/logcap"
	"pointsman/host/deploy"
	"pointsman/host/rest"
)

// front shows the deployer to the listener as the listener wants it.
type front struct{ deployer *deploy.Deployer }

// Acquire pins the live release; see rest.Broker.
func (f front) Acquire() (rest.Release, func()) {
	r, release := f.deployer.Acquire()
	if r == nil {
		return nil, release
	}
	return frontRelease{r}, release
}

type frontRelease struct{ *deploy.Release }

func (r frontRelease) Match(path string) []rest.Match {
	found := r.Release.Match(path)
	matches := make([]rest.Match, len(found))
	for i, m := range found {
		matches[i] = rest.Match{Route: m.Route, Params: m.Params}
	}
	return matches
}

// guestLog writes what plugins say into the broker's log, under their name.
type guestLog struct{ log *slog.Logger }

// GuestLog writes one line of a guest; text is untrusted and only ever a value.
func (g guestLog) GuestLog(ctx context.Context, level, text string) {
	call, _ := broker.CallFrom(ctx)
	g.log.Log(ctx, slogLevel(level), "a plugin says", "call", call.Request, slog.Group("plugin", "name", call.Plugin, "msg", call.Loggable(text)))
}

// PluginLog writes what a plugin said through the log power.
func (g guestLog) PluginLog(ctx context.Context, r logcap.Record) {
	fields := make([]any, 0, len(r.Fields))
	for _, f := range r.Fields {
		fields = append(fields, slog.String(f.Name, f.Value))
	}
	g.log.Log(ctx, slogLevel(r.Level), "a plugin says", "call", r.Call.Request,
		slog.Group("plugin", "name", r.Plugin, "msg", r.Message, slog.Group("fields", fields...)))
}

func slogLevel(level string) slog.Level {
	switch level {
	case "trace", "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}
