package manifest

import (
	"time"

	"go.yaml.in/yaml/v4"
)

// HTTPGrant lets a plugin reach one back end that is an HTTP origin.
type HTTPGrant struct {
	Backend string   `json:"backend"`
	As      string   `json:"as"`                // the name that the plugin uses; the back end's own unless written
	Allow   []string `json:"allow"`             // "GET /v2/contacts/{id}", sorted
	Query   []string `json:"query,omitempty"`   // parameters it may set, sorted
	Headers []string `json:"headers,omitempty"` // headers it may set, canonical, sorted
	View    Paths    `json:"view,omitzero"`     // what of an answer the plugin sees; not written: nothing
	Clear   []string `json:"clear,omitempty"`   // labels that it may have seen and still use this, sorted
}

// SQLGrant lets a plugin use statements of one back end that is a database.
type SQLGrant struct {
	Backend    string   `json:"backend"`
	As         string   `json:"as"`              // the name that the plugin uses; the back end's own unless written
	Statements []string `json:"statements"`      // names, sorted
	View       Paths    `json:"view,omitzero"`   // what of a row the plugin sees; not written: nothing
	Clear      []string `json:"clear,omitempty"` // labels that it may have seen and still use this, sorted
}

// KVGrant lets a plugin keep values of its own.
type KVGrant struct {
	Quota int64         // bytes of all keys and values; DefaultQuota unless written
	Keys  int           // how many; DefaultKeys unless written
	TTL   time.Duration // how long a value is kept at most; DefaultTTL unless written
	Clear []string      // labels that it may have seen and still keep something, sorted
}

// The defaults of a KVGrant: what a cursor, a token of a session or a few thousand cached
// answers take, forgotten after a day.
const (
	DefaultQuota = 1 << 20
	DefaultKeys  = 10_000
	DefaultTTL   = 24 * time.Hour
)

// CallGrant lets a plugin call one function of another plugin.
type CallGrant struct {
	Plugin   string
	Function string
	View     Paths    // what of the output the caller sees; not written: nothing
	Clear    []string // labels that it may have seen and still use this, sorted
}

// PointerGrant lets a plugin open or mint the pointers of one domain: exactly one of the two
// is set.
type PointerGrant struct {
	Open string // the domain whose pointers it may open
	Mint string // the domain whose ids it may make pointers of
}

// ParcelGrant lets a plugin take documents as parcels, which stay on the host, and move what
// it cannot read.
type ParcelGrant struct {
	View Paths // what of the parcels in its input it may read, as paths into the input; not written: nothing
}

// LogGrant lets a plugin write to the log.
type LogGrant struct {
	Clear []string // labels that it may have seen and still write to the log, sorted
}

// Capabilities that can be granted, and their keys in a grant.
const (
	grantHTTP    = "http"
	grantSQL     = "sql"
	grantKV      = "kv"
	grantCall    = "call"
	grantPointer = "pointer"
	grantParcel  = "parcel"
	grantLog     = "log"
)

// grants is the form of spec.grants; a Plugin keeps it both decoded and as JSON.
type grants struct {
	HTTP    []HTTPGrant
	SQL     []SQLGrant
	KV      *KVGrant
	Call    []CallGrant
	Pointer []PointerGrant
	Parcel  *ParcelGrant
	Log     *LogGrant
}

func grantsForm() form[grants] {
	log := object(LogGrant{}, nil,
		key("clear", labelList(), "labels that the plugin may have seen and still write to the log", func(g *LogGrant) *[]string { return &g.Clear }))
	parcels := object(ParcelGrant{}, nil,
		key("view", seen(), "what of the parcels in its input the plugin may read: paths into the input, or all; nothing unless written", func(g *ParcelGrant) *Paths { return &g.View }))
	return object(grants{}, nil,
		key(grantHTTP, distinct(1, 50, httpGrant(), func(g HTTPGrant) string { return g.As }, codeSameAs), "back ends that the plugin may call", func(g *grants) *[]HTTPGrant { return &g.HTTP }),
		key(grantSQL, distinct(1, 50, sqlGrant(), func(g SQLGrant) string { return g.As }, codeSameAs), "statements that the plugin may use", func(g *grants) *[]SQLGrant { return &g.SQL }),
		key(grantKV, pointer(kvGrant()), "{} or more if the plugin may keep values of its own", func(g *grants) **KVGrant { return &g.KV }),
		key(grantCall, list(1, 50, callGrant(), func(g CallGrant) string { return g.Plugin + "." + g.Function }), "functions of other plugins that it may call", func(g *grants) *[]CallGrant { return &g.Call }),
		key(grantPointer, list(1, 50, pointerGrant(), PointerGrant.id), "domains whose pointers it may open or mint", func(g *grants) *[]PointerGrant { return &g.Pointer }),
		key(grantParcel, pointer(parcels), "{} or more if the plugin may take documents as parcels, which stay on the host", func(g *grants) **ParcelGrant { return &g.Parcel }),
		key(grantLog, pointer(log), "{} or more if the plugin may write to the log", func(g *grants) **LogGrant { return &g.Log }))
}

func httpGrant() form[HTTPGrant] {
	return object(HTTPGrant{}, func(_ *reader, _ *yaml.Node, _ string, g *HTTPGrant) {
		if g.As == "" {
			g.As = g.Backend
		}
	},
		required(key("backend", using(useHTTP, name(plainName)), "name of the backend", func(g *HTTPGrant) *string { return &g.Backend })),
		key("as", name(plainName), "the name that the plugin uses, if not the backend's own", func(g *HTTPGrant) *string { return &g.As }),
		required(key("allow", list(1, 200, endpoint(), itself), "methods and paths that may be called", func(g *HTTPGrant) *[]string { return &g.Allow })),
		key("query", list(0, 100, query(), itself), "query parameters that may be set", func(g *HTTPGrant) *[]string { return &g.Query }),
		key("headers", list(0, 100, header(), itself), "headers that may be set", func(g *HTTPGrant) *[]string { return &g.Headers }),
		key("view", seen(), "what the plugin sees of answers: paths, or all; nothing unless written", func(g *HTTPGrant) *Paths { return &g.View }),
		key("clear", labelList(), "labels that the plugin may have seen and still call the backend", func(g *HTTPGrant) *[]string { return &g.Clear }))
}

func sqlGrant() form[SQLGrant] {
	statements := list(1, 200, using(useStatement, name(plainName)), itself)
	return object(SQLGrant{}, func(r *reader, n *yaml.Node, at string, g *SQLGrant) {
		if g.As == "" {
			g.As = g.Backend
		}
		r.ofBackend(join(at, "statements"), g.Backend)
	},
		required(key("backend", using(useSQL, name(plainName)), "name of the backend", func(g *SQLGrant) *string { return &g.Backend })),
		key("as", name(plainName), "the name that the plugin uses, if not the backend's own", func(g *SQLGrant) *string { return &g.As }),
		required(key("statements", statements, "names of the statements", func(g *SQLGrant) *[]string { return &g.Statements })),
		key("view", seen(), "what the plugin sees of a row: paths, or all; nothing unless written", func(g *SQLGrant) *Paths { return &g.View }),
		key("clear", labelList(), "labels that the plugin may have seen and still use the statements", func(g *SQLGrant) *[]string { return &g.Clear }))
}

// maxTTL keeps what a plugin stores something that is forgotten by itself.
const maxTTL = 366 * 24 * time.Hour

func kvGrant() form[KVGrant] {
	quota := size[int64](1<<10, 1<<30)
	quota.write = func(v int64) any { return v } // in canonical grants, sizes are numbers
	return object(KVGrant{Quota: DefaultQuota, Keys: DefaultKeys, TTL: DefaultTTL}, nil,
		key("quota", quota, "bytes of all keys and values; 1MiB unless written", func(g *KVGrant) *int64 { return &g.Quota }),
		key("keys", number(1, 10_000_000), "how many keys; 10000 unless written", func(g *KVGrant) *int { return &g.Keys }),
		key("ttl", duration(time.Second, maxTTL), "how long a value is kept at most; 24h unless written", func(g *KVGrant) *time.Duration { return &g.TTL }),
		key("clear", labelList(), "labels that the plugin may have seen and still keep something", func(g *KVGrant) *[]string { return &g.Clear }))
}

func callGrant() form[CallGrant] {
	return object(CallGrant{}, nil,
		required(functionField("function", "which function, as plugin.function", useCall, func(g *CallGrant) (*string, *string) { return &g.Plugin, &g.Function })),
		key("view", seen(), "what the caller sees of the output: paths, or all; nothing unless written", func(g *CallGrant) *Paths { return &g.View }),
		key("clear", labelList(), "labels that the caller may have seen and still call it", func(g *CallGrant) *[]string { return &g.Clear }))
}

func (g PointerGrant) id() string {
	if g.Mint != "" {
		return "mint " + g.Mint
	}
	return "open " + g.Open
}

func pointerGrant() form[PointerGrant] {
	return object(PointerGrant{}, func(r *reader, n *yaml.Node, at string, _ *PointerGrant) { checkOneOf(r, n, at, "open", "mint") },
		key("open", using(useOpen, name(plainName)), "the domain whose pointers it may open", func(g *PointerGrant) *string { return &g.Open }),
		key("mint", using(KindDomain, name(plainName)), "the domain whose ids it may make pointers of", func(g *PointerGrant) *string { return &g.Mint }))
}

// checkOneOf reports when a mapping has both or neither of two keys.
func checkOneOf(r *reader, n *yaml.Node, at, one, other string) {
	first, second := child(n, one) != n, child(n, other) != n
	switch {
	case n.Kind != yaml.MappingNode: // reported
	case first && second:
		r.add(child(n, other), join(at, other), codeContradiction, "", "%s and %s exclude each other; write two entries", one, other)
	case !first && !second:
		r.add(n, join(at, one), codeMissing, "", "key %q or %q is missing", one, other)
	}
}
