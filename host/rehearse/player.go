package rehearse

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/egress"
	"pointsman/host/sandbox"
	"pointsman/host/view"
	"pointsman/pdk/wire"
)

// maxUses is how many uses of powers one call may make: the broker's for a whole request,
// SECURITY-RULES §3.7.
const maxUses = 32

// player is the host of one call: it answers from a recording and keeps what was used. It is
// used by one goroutine.
type player struct {
	backends map[string]*egress.Backend // by the plugin's names, for URLs; they are never asked
	checks   *egress.Backend            // for what could never be sent
	rec      *Recording
	anyOrder bool                 // answers are looked up, whichever comes next in the file
	views    map[source]view.View // what is shown of answers; one that is not in it, all

	used   []bool // by exchange
	next   int
	spent  int
	uses   []use
	served map[source][][]byte // documents that were there to be shown
	values values
	logs   []string
	faults []string
	kept   memory
}

// source is who answers: a back end, a database, or a function of another plugin, by the
// plugin's name for it.
type source struct{ kind, name string } // kind is http, sql or call

func (s source) String() string { return s.kind + " " + s.name }

type playerKey struct{}

func withPlayer(ctx context.Context, p *player) context.Context {
	return context.WithValue(ctx, playerKey{}, p)
}

// lent are all the operations that a rehearsal can play.
func lent() []sandbox.Import {
	var all []sandbox.Import
	for capability, ops := range map[string]map[string]func(*player, []byte) ([]byte, error){
		"http":    {"request": (*player).request, "url": (*player).url},
		"sql":     {"query": (*player).query},
		"call":    {"function": (*player).call},
		"log":     {"write": (*player).log},
		"pointer": {"open": (*player).open, "mint": (*player).mint},
		"kv":      {"get": (*player).get, "put": (*player).put, "swap": (*player).swap, "delete": (*player).drop},
	} {
		for name, op := range ops {
			all = append(all, sandbox.Import{Capability: capability, Op: name, Do: func(ctx context.Context, request []byte) []byte {
				p, ok := ctx.Value(playerKey{}).(*player)
				if !ok { // an initializer
					return wire.Failed(wire.Error{Code: wire.Denied, Message: "nothing is granted before a call"})
				}
				if capability != "log" {
					p.spent++
				}
				if p.spent > maxUses {
					return p.refused(capability+"."+name, &broker.Error{Kind: broker.Denied, Detail: "the request has used up its budget of host calls"})
				}
				payload, err := op(p, request)
				if err != nil {
					return p.refused(capability+"."+name, err)
				}
				return wire.Done(payload)
			}})
		}
	}
	return all
}

// refused is the reply for err. What a recording says is no fault; what the broker would refuse
// whatever was granted is, and what nobody recorded.
func (p *player) refused(op string, err error) []byte {
	if said, ok := err.(*wire.Error); ok {
		return wire.Failed(*said)
	}
	p.faults = append(p.faults, op+": "+err.Error())
	code := wire.Permanent
	if broker.KindOf(err) == broker.Denied {
		code = wire.Denied
	}
	return wire.Failed(wire.Error{Code: code, Message: "the rehearsal has no answer"})
}

func denied(format string, args ...any) error {
	return &broker.Error{Kind: broker.Denied, Detail: fmt.Sprintf(format, args...)}
}

// frame takes a request with a body apart.
func frame(request []byte, head any) (body []byte, err error) {
	text, body, err := wire.SplitFrame(request)
	if err != nil {
		return nil, &broker.Error{Kind: broker.Invalid, Detail: "the request is not a frame: four bytes of length, head, body"}
	}
	return slices.Clone(body), capability.Decode(text, head)
}

// Names as manifests have them: what a plugin asks for becomes the text of one.
var (
	plainName    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	functionName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}\.[a-zA-Z_][a-zA-Z0-9_-]{0,62}$`)
)

// nameable refuses names that no grant could have.
func nameable(names ...string) error {
	for _, n := range names {
		if !plainName.MatchString(n) {
			return denied("%q is no name that a grant could have", sandbox.Printable(n))
		}
	}
	return nil
}

// play finds the recorded answer to what was asked. One that the host is recorded to have
// refused for want of a grant is no use.
func (p *player) play(asked *Exchange) (*Exchange, error) {
	if p.used == nil {
		p.used = make([]bool, len(p.rec.Exchanges))
	}
	text, at := asked.String(), -1
	if !p.anyOrder {
		if p.next < len(p.rec.Exchanges) && p.rec.Exchanges[p.next].same(text) {
			at = p.next
		}
	} else {
		better := func(i int) bool { // an answer rather than a refusal, and one that was not given yet
			if at < 0 || p.rec.Exchanges[i].denied() != p.rec.Exchanges[at].denied() {
				return at < 0 || p.rec.Exchanges[at].denied()
			}
			return p.used[at] && !p.used[i]
		}
		for i := range p.rec.Exchanges {
			if p.rec.Exchanges[i].same(text) && better(i) {
				at = i
			}
		}
	}
	if at < 0 {
		want := ""
		if !p.anyOrder && p.next < len(p.rec.Exchanges) {
			want = "\nrecorded is\n" + indent(p.rec.Exchanges[p.next].String())
		}
		return nil, denied("no answer is recorded for\n%s%s", indent(text), want)
	}
	p.used[at], p.next = true, at+1
	ex := &p.rec.Exchanges[at]
	if ex.denied() {
		return nil, ex.Refused
	}
	return ex, nil
}

// denied reports whether the host is recorded to have said that no grant covers the request.
func (e *Exchange) denied() bool { return e.Refused != nil && e.Refused.Code == wire.Denied }

// same reports whether text asks for what e does. The arguments of a statement have no order.
func (e *Exchange) same(text string) bool {
	if e.Method != "QUERY" || len(e.Body) == 0 {
		return e.String() == text
	}
	sorted := *e
	sorted.Body = canonical(e.Body)
	return sorted.String() == text
}

// shown notes what is there to be shown, and returns the view of it, if it is not all.
func (p *player) shown(of source, document []byte) (view.View, bool) {
	if p.served == nil {
		p.served = map[source][][]byte{}
	}
	p.served[of] = append(p.served[of], document)
	v, ok := p.views[of]
	return v, ok && !v.All()
}
