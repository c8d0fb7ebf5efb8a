// Package pointercap owns the power to open and to mint pointers: it decides whether the
// domain is granted for that, and has the pointers of the release do it for the sector of
// the call's principal.
package pointercap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/grant"
	"pointsman/pdk/wire"
)

// Pointers are those of one release. *pointer.Issuer is one. Safe for concurrent use.
type Pointers interface {
	// Has reports whether there is a domain of that name.
	Has(domain string) bool
	// Resolve returns the id that text points at, or the one error for all that does not
	// resolve, a *broker.Error of kind NotFound.
	Resolve(domain string, sector broker.Sector, text string) (id string, err error)
	// Mint returns the pointer to the record id.
	Mint(domain string, sector broker.Sector, id string) (text string, err error)
}

// Pointer lends two operations: "open", which takes a wire.PointerOpen and answers a
// wire.PointerOpened, and "mint", which takes a wire.PointerMint and answers a
// wire.PointerMinted. Nothing that the plugin knows leaves by either.
type Pointer struct {
	Pointers Pointers
	// Yields are the labels of the ids of a domain, which who opens a pointer has seen from
	// then on. A domain that is not there has none.
	Yields map[string]broker.Labels
}

// Name is "pointer".
func (*Pointer) Name() string { return "pointer" }

// Ops is "mint" and "open".
func (*Pointer) Ops() []string { return []string{"mint", "open"} }

// Bind compiles a grant, a list of {open} and {mint}, each with a domain. An empty one lends
// nothing, and one without the one word does not lend its operation. It refuses a domain
// that there is not, and one given twice.
func (p *Pointer) Bind(scope capability.Scope) (map[string]capability.Op, error) {
	if len(scope.Grant) == 0 {
		return nil, nil
	}
	var grants []struct {
		Open string `json:"open"`
		Mint string `json:"mint"`
	}
	if err := capability.DecodeGrant(scope.Grant, &grants, "a list of {open} and {mint}"); err != nil {
		return nil, err
	}
	open, mint := domains{}, domains{}
	for i, g := range grants {
		if (g.Open == "") == (g.Mint == "") {
			return nil, fmt.Errorf("entry %d: want either open or mint, and a domain", i)
		}
		to, domain := open, g.Open
		if g.Mint != "" {
			to, domain = mint, g.Mint
		}
		if p.Pointers == nil || !p.Pointers.Has(domain) {
			return nil, fmt.Errorf("entry %d: there is no domain %q", i, domain)
		}
		if to[domain] {
			return nil, fmt.Errorf("entry %d: domain %q is granted twice", i, domain)
		}
		to[domain] = true
	}
	ops := map[string]capability.Op{}
	if len(open) > 0 {
		ops["open"] = func(request []byte) (capability.Planned, error) { return p.open(open, scope.Wants, request) }
	}
	if len(mint) > 0 {
		ops["mint"] = func(request []byte) (capability.Planned, error) { return p.mint(mint, scope.Wants, request) }
	}
	return ops, nil
}

// domains are those that one operation is granted for. They do not change.
type domains map[string]bool

// check refuses a domain that is not granted. What was asked for is not repeated: a guest
// can write anything there.
func (d domains) check(op, domain string) error {
	if d[domain] {
		return nil
	}
	return &broker.Error{Kind: broker.Denied, Detail: fmt.Sprintf(
		"plugin asked to %s a pointer of a domain that it was not granted for that; granted: %s", op, strings.Join(slices.Sorted(maps.Keys(d)), ", "))}
}

// name is the domain of a refused use, where the admin has one of that name or the plugin's
// author wants it: whatever else a plugin asks for may be a value.
func (p *Pointer) name(w grant.Wants, asked grant.Pointer) string {
	domain := asked.Open + asked.Mint // one of them is empty
	if p.Pointers.Has(domain) || slices.Contains(w.Pointer, asked) {
		return domain
	}
	return ""
}

func (p *Pointer) open(granted domains, w grant.Wants, request []byte) (capability.Planned, error) {
	var asked wire.PointerOpen
	if err := capability.Decode(request, &asked); err != nil {
		return capability.Planned{}, err
	}
	if err := granted.check("open", asked.Domain); err != nil {
		return capability.Planned{Resource: p.name(w, grant.Pointer{Open: asked.Domain})}, err
	}
	// Nothing is refused here for how the pointer looks: all that do not resolve are the
	// same, to the guest and in the audit log.
	return capability.Planned{
		Resource: asked.Domain, Inward: true, Yields: p.Yields[asked.Domain],
		Do: func(ctx context.Context) ([]byte, error) {
			sector, err := sectorOf(ctx)
			if err != nil {
				return nil, err
			}
			id, err := p.Pointers.Resolve(asked.Domain, sector, asked.Pointer)
			if err != nil {
				return nil, err
			}
			return reply(wire.PointerOpened{ID: id})
		},
	}, nil
}

func (p *Pointer) mint(granted domains, w grant.Wants, request []byte) (capability.Planned, error) {
	var asked wire.PointerMint
	if err := capability.Decode(request, &asked); err != nil {
		return capability.Planned{}, err
	}
	if err := granted.check("mint", asked.Domain); err != nil {
		return capability.Planned{Resource: p.name(w, grant.Pointer{Mint: asked.Domain})}, err
	}
	return capability.Planned{
		Resource: asked.Domain, Inward: true,
		Do: func(ctx context.Context) ([]byte, error) {
			sector, err := sectorOf(ctx)
			if err != nil {
				return nil, err
			}
			text, err := p.Pointers.Mint(asked.Domain, sector, asked.ID)
			if err != nil {
				return nil, err
			}
			return reply(wire.PointerMinted{Pointer: text})
		},
	}, nil
}

// sectorOf is the sector of the consumer for whom the call works.
func sectorOf(ctx context.Context) (broker.Sector, error) {
	if err := ctx.Err(); err != nil {
		return "", &broker.Error{Kind: broker.Canceled, Detail: "the request was canceled", Err: err}
	}
	call, _ := broker.CallFrom(ctx)
	if call.Principal.Sector == "" {
		return "", &broker.Error{Kind: broker.Denied, Detail: "no sector stands behind this call"}
	}
	return call.Principal.Sector, nil
}

func reply(message any) ([]byte, error) {
	text, err := json.Marshal(message)
	if err != nil { // two strings of valid UTF-8
		return nil, &broker.Error{Kind: broker.Internal, Err: err}
	}
	return text, nil
}
