package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	extism "github.com/extism/go-sdk"

	"pointsman/pdk"
)

// naive is the service as one first writes it with Extism: the module compiled once, a new
// instance for every call, closed after it, and guests that use Extism's http_request. The
// guest's instructions are not counted and no time-out is set, which is to its advantage.
type naive struct{ guest *extism.CompiledPlugin }

func newNaive(ctx context.Context, c config) (*naive, error) {
	transport, err := backendTransport(c)
	if err != nil {
		return nil, err
	}
	http.DefaultClient.Transport = transport // what go-sdk sends guests' requests with
	settings := map[string]string{}
	for name, b := range c.Backends {
		settings[name+".url"], settings[name+".token"] = b.URL, b.Token
	}
	guest, err := extism.NewCompiledPlugin(ctx, extism.Manifest{
		Wasm:         []extism.Wasm{extism.WasmFile{Path: c.Guest}},
		AllowedHosts: []string{"localhost"},
		Config:       settings,
	}, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		return nil, err
	}
	return &naive{guest}, nil
}

// profile runs the steps of the route, each in an instance of its own.
func (n *naive) profile(ctx context.Context, customer string) ([]byte, error) {
	type found struct {
		text json.RawMessage
		err  error
	}
	crm := make(chan found, 1)
	asked := map[string]string{"customer": customer}
	go func() {
		text, err := n.call(ctx, "hubspot", asked)
		crm <- found{text, err}
	}()
	salesforce, err := n.call(ctx, "salesforce", asked)
	if err != nil {
		<-crm // the instance must be closed before the request ends
		return nil, err
	}
	parts := []json.RawMessage{salesforce, json.RawMessage("null"), json.RawMessage("null")}
	var told struct {
		Phone string `json:"phone"`
	}
	if err := json.Unmarshal(salesforce, &told); err != nil {
		<-crm
		return nil, err
	}
	if told.Phone != "" {
		if text, err := n.call(ctx, "square", map[string]string{"phone": told.Phone}); err == nil {
			parts[2] = text
		}
	}
	if f := <-crm; f.err == nil {
		parts[1] = f.text
	}
	return n.call(ctx, "profile", map[string]any{"parts": parts})
}

// call runs one export in a new instance.
func (n *naive) call(ctx context.Context, export string, in any) (out []byte, err error) {
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	guest, err := n.guest.Instance(ctx, extism.PluginInstanceConfig{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, guest.Close(context.WithoutCancel(ctx))) }()
	code, out, err := guest.CallWithContext(ctx, export, text)
	switch {
	case err != nil && err.Error() == string(pdk.NotFound): // the guest's error_set
		return nil, pdk.Errorf(pdk.NotFound, "%s has no record", export)
	case err != nil:
		return nil, fmt.Errorf("call %s: %w", export, err)
	case code != 0:
		return nil, fmt.Errorf("call %s: code %d", export, code)
	}
	return out, nil
}
