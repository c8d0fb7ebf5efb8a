// Package rehearse owns rehearsals: it runs the functions of a module in a sandbox with
// recorded answers in place of back ends, and learns from that the smallest grants with which
// they do the same.
package rehearse

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"pointsman/host/egress"
	"pointsman/host/manifest"
	"pointsman/host/sandbox"
	"pointsman/host/view"
	"pointsman/host/wasm"
	"pointsman/pdk/wire"
)

// Config says what is rehearsed.
type Config struct {
	Engine sandbox.Engine
	Module []byte
	Calls  []*Recording
	// Lookup finds answers wherever they are in a recording. Otherwise a call must ask for
	// exactly what is recorded, in that order.
	Lookup bool
	// Backends are the URLs of back ends by the plugin's names for them. Only a plugin that
	// asks by URL, as Extism's http_request does, needs them. Nothing is ever sent there.
	Backends map[string]string
}

// Rehearsal is a module that can be called with recorded answers. Nothing that it does reaches
// a network, a database or a disk. Not safe for concurrent use.
type Rehearsal struct {
	About  *manifest.About // what its author says; nil when the module says nothing
	SHA256 [32]byte        // of the module

	module   sandbox.Module
	calls    []*Recording
	lookup   bool
	backends map[string]*egress.Backend
	checks   *egress.Backend
}

// Played is what became of one call.
type Played struct {
	Name     string   `json:"name"` // of the recording
	Function string   `json:"function"`
	Output   string   `json:"output,omitempty"` // what it answered, JSON
	Error    string   `json:"error,omitempty"`  // what it said when it failed; a plugin's words, escaped
	Uses     int      `json:"uses"`             // of powers
	Faults   []string `json:"faults,omitempty"` // what was not as recorded, or could never be granted

	uses    []use
	served  map[source][][]byte
	outcome string // all that a view could change
}

// Open compiles the module. The error says which of its imports a rehearsal does not have, or
// which function there is not. The caller closes the Rehearsal.
func Open(ctx context.Context, c Config) (*Rehearsal, error) {
	info, err := wasm.Inspect(c.Module)
	if err != nil {
		return nil, err
	}
	r := &Rehearsal{SHA256: info.SHA256, calls: c.Calls, lookup: c.Lookup, backends: map[string]*egress.Backend{}}
	if text, ok := info.Custom[wire.PluginSection]; ok {
		about, faults := manifest.ParseAbout("plugin.yaml", text)
		if err := faults.Err(); err != nil {
			return nil, fmt.Errorf("its plugin.yaml is not valid: %w", err)
		}
		r.About = about
	}
	callable := sandbox.Callable(info.Exports)
	for _, call := range c.Calls {
		if !slices.Contains(callable, call.Function) {
			return nil, fmt.Errorf("%s: the module has no function %q; it has %s", call.Name, call.Function, strings.Join(callable, ", "))
		}
	}
	if r.checks, err = backend("rehearsal", "https://rehearsal.invalid"); err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(c.Backends) {
		b, err := backend(name, c.Backends[name])
		if err != nil {
			r.close()
			return nil, err
		}
		r.backends[name] = b
	}
	if r.module, err = c.Engine.Compile(ctx, c.Module, sandbox.Terms{Imports: lent()}); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// backend is one that takes URLs apart and says what could never be sent. It is never asked
// for anything.
func backend(name, address string) (*egress.Backend, error) {
	c := egress.Config{Name: name, URL: address, Insecure: true}
	if u, err := url.Parse(address); err == nil { // an address that is one's own is fine here
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
			c.Private = []netip.Prefix{netip.PrefixFrom(addr, addr.BitLen())}
		}
	}
	return egress.New(c)
}

// Close frees what the module holds.
func (r *Rehearsal) Close(ctx context.Context) error {
	r.close()
	return r.module.Close(ctx)
}

func (r *Rehearsal) close() {
	r.checks.Close()
	for _, b := range r.backends {
		b.Close()
	}
}

// Play makes every call once, with everything shown. The error is ctx's, or one of the engine.
func (r *Rehearsal) Play(ctx context.Context) ([]Played, error) {
	all := make([]Played, len(r.calls))
	for i := range r.calls {
		one, err := r.play(ctx, i, nil)
		if err != nil {
			return nil, err
		}
		all[i] = one
	}
	return all, nil
}

func (r *Rehearsal) play(ctx context.Context, at int, views map[source]view.View) (Played, error) {
	rec := r.calls[at]
	p := &player{backends: r.backends, checks: r.checks, rec: rec, anyOrder: r.lookup, views: views}
	p.values.input(rec.Input)
	out, err := r.module.Call(withPlayer(ctx, p), rec.Function, rec.Input)
	if ctx.Err() != nil {
		return Played{}, ctx.Err()
	}
	one := Played{Name: rec.Name, Function: rec.Function, Output: string(out), Uses: len(p.uses), Faults: p.faults, uses: p.uses, served: p.served}
	said := ""
	if guest, ok := errors.AsType[*sandbox.GuestError](err); ok {
		said = guest.Text
		one.Output, one.Error = "", sandbox.Printable(said)
	} else if fault, ok := errors.AsType[*sandbox.Fault](err); ok {
		one.Output, one.Error = "", fmt.Sprintf("it broke off: %s", fault.Kind)
		one.Faults = append(one.Faults, one.Error)
	} else if err != nil {
		return Played{}, err
	}
	one.outcome = fmt.Sprintf("%q %q %q %q", compact([]byte(one.Output)), one.Error, p.logs, p.faults) // a view takes white space out
	for _, u := range p.uses {
		one.outcome += fmt.Sprintf(" %q %q %q %q %q", u.of, u.what, u.path, u.query, u.headers)
	}
	if !r.lookup {
		one.Faults = append(one.Faults, unlike(rec, p, out, said, err)...)
	}
	return one, nil
}

// unlike says what of a call is not as recorded.
func unlike(rec *Recording, p *player, out []byte, said string, err error) []string {
	var faults []string
	if left := len(rec.Exchanges) - p.next; left > 0 && len(p.faults) == 0 {
		faults = append(faults, fmt.Sprintf("it never asked for what is recorded next:\n%s", indent(rec.Exchanges[p.next].String())))
	}
	differs := func(got, want []byte) bool { return string(compact(got)) != string(compact(want)) }
	switch {
	case rec.Response != nil && err != nil:
		faults = append(faults, "it failed, and an output is recorded:\n"+indent(said))
	case rec.Response != nil && differs(out, rec.Response):
		faults = append(faults, "its output is not the recorded one:\n"+indent(string(compact(out))))
	case rec.Error != nil && err == nil:
		faults = append(faults, "it answered, and an error is recorded:\n"+indent(string(compact(out))))
	case rec.Error != nil && differs([]byte(said), rec.Error):
		faults = append(faults, "its error is not the recorded one:\n"+indent(said))
	}
	return faults
}
