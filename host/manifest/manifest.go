// Package manifest owns the documents that admins deploy and plugin authors ship:
// their types, their strict decoding and their canonical form.
//
// # One table per shape
//
// Every shape (a Backend's spec, a grant, a step ...) is written once, as a form: a table
// of keys with a rule each. The decoder, the canonical form and the published JSON Schema
// are all read from that table, so that they cannot drift apart.
//
// # Faults
//
// A fault never stops the reading of what follows it. Load returns every fault of every
// file, each with its place, a stable code (see Codes) and the nearest valid word.
package manifest

import (
	"encoding/json"
	"fmt"
	"time"
)

// APIVersion is the version that every document states.
const APIVersion = "pointsman/v1"

// The kinds of document.
const (
	KindBackend     = "Backend"
	KindDomain      = "Domain"
	KindPlugin      = "Plugin"
	KindRoute       = "Route"
	KindIssuer      = "Issuer"
	KindConsumer    = "Consumer"
	KindGateway     = "Gateway"
	KindPluginAbout = "PluginAbout" // the author's plugin.yaml; never part of a Set
)

// Set is everything that one deployment says, each list sorted by name. A Set that Load
// returned is consistent: every name it uses is defined in it. It is not changed after
// that, so it may be read concurrently.
type Set struct {
	Backends  []*Backend
	Domains   []*Domain
	Plugins   []*Plugin
	Routes    []*Route
	Issuers   []*Issuer
	Consumers []*Consumer
	Gateway   *Gateway // nil: none, and consumers reach the broker directly
}

// Pos is a place in a file. Line and Column count from 1, columns in characters; both are
// 0 where a file as a whole is meant.
type Pos struct {
	File         string
	Line, Column int
}

func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Backend is a system behind us. In a Set it has exactly one of HTTP and SQL.
type Backend struct {
	Name string
	Pos  Pos
	HTTP *HTTPBackend // an HTTP origin
	SQL  *SQLBackend  // a database with named statements
}

// Plugin is one module and what it is lent.
type Plugin struct {
	Name   string
	Pos    Pos
	Module Module
	// Grants holds, for each capability that is granted, the grant as canonical JSON: arrays
	// of HTTPGrant, SQLGrant, CallGrant and PointerGrant, a KVGrant, a ParcelGrant and a LogGrant. The
	// fields below hold the same, decoded.
	Grants        map[string]json.RawMessage
	HTTPGrants    []HTTPGrant    // sorted by As
	SQLGrants     []SQLGrant     // sorted by As
	KVGrant       *KVGrant       // nil: none
	CallGrants    []CallGrant    // sorted by plugin and function
	PointerGrants []PointerGrant // sorted
	ParcelGrant   *ParcelGrant   // nil: none
	LogGrant      *LogGrant      // nil: none
	Input         Paths          // what of a step's input reaches the plugin; not written: all of it
	Output        Paths          // what of its output leaves; not written: all of it
	Clear         []string       // labels that its output may carry, sorted
	Declassify    []string       // labels that its output no longer carries, sorted
	CallableBy    []string       // plugins that may call its functions, sorted
	Limits        PluginLimits
	Config        map[string]string
}

// Module says which Wasm module.
type Module struct {
	Path   string // slash-separated, relative to the manifests' root
	SHA256 string // of the file, lower-case hex; empty: not pinned
}

// PluginLimits bounds a plugin. A zero field means the default of host/sandbox, or the one
// that is named.
type PluginLimits struct {
	// Of one call.
	Memory uint64        // bytes, at most 1 GiB
	Time   time.Duration // at most 30 s
	Fuel   int           // units of computing; 0: as many as fit into Time
	Calls  int           // operations of powers
	Output int64         // bytes, at most 64 MiB
	// Of all its calls.
	Concurrency int // calls at once, at most 1024; DefaultConcurrency
	Reserved    int // sandboxes whose memory is kept for it, at most Concurrency; DefaultReserved
}

// The defaults of a plugin's limits over all its calls. 32 calls at the default memory are
// 2 GiB, what a small machine has; one sandbox reserved is the least with which a plugin
// always gets on.
const (
	DefaultConcurrency = 32
	DefaultReserved    = 1
)

// Route is a method and a path for consumers, and the graph of steps behind it.
type Route struct {
	Name     string
	Pos      Pos
	Method   string
	Path     string           // "/v1/customers/{customer}"
	Params   map[string]Param // every parameter of the path and the query
	Scopes   []string         // a consumer needs all of them; never empty; sorted
	Deadline time.Duration    // of the whole request; DefaultDeadline unless written
	Steps    []Step           // as in the file
	Answer   Value
	View     Paths               // what of the answer leaves; always written in a Set
	Views    map[string]Paths    // scope: what leaves besides View, to consumers that have the scope
	Clear    []string            // labels that the answer may carry, sorted
	Pointers map[string][]string // domain: paths of the answer whose ids become pointers, sorted
	Subject  string              // whom the answer is about: a parameter's name, or "answer." and a path; empty: nobody
}

// DefaultDeadline of a route, and the longest that can be written. The default leaves a
// person waiting no longer than they notice as broken; the longest is what common proxies
// in front grant before they give up.
const (
	DefaultDeadline = 2 * time.Second
	MaxDeadline     = 30 * time.Second
)

// Param is one parameter of a route.
type Param struct {
	In        string  // InPath or InQuery
	Pattern   string  // RE2; must match the whole value; empty: anything (InQuery only)
	MaxLength int     // characters; DefaultMaxLength, or DefaultPointerLength, unless written
	Required  bool    // always true for InPath
	Default   *string // InQuery and not Required: what stands in for a missing one; nil: nothing
	Pointer   string  // the domain whose pointers it takes; empty: it is no pointer
	Label     string  // of the value, of what it points at if it is a pointer; empty: none
}

// Places for a parameter.
const (
	InPath  = "path"
	InQuery = "query"
)

// DefaultMaxLength of a parameter's value, in characters: longer than any identifier in
// use, shorter than anything worth smuggling.
const DefaultMaxLength = 200

// DefaultPointerLength is DefaultMaxLength of a parameter that takes pointers: as long as the
// longest of a domain with the longest name, and then some.
const DefaultPointerLength = 512

// Step is one plugin call of a route.
type Step struct {
	Name     string
	Pos      Pos
	Plugin   string
	Function string
	With     Value // the input; an object without fields when the document says nothing
	Required bool
	OnError  string        // OnErrorFail or OnErrorOmit, never empty in a Set
	Deadline time.Duration // 0: only the route's
	View     Paths         // what of the output the route uses; not written: all of it
}

// What a step's failure does to the answer.
const (
	OnErrorOmit = "omit" // the step is null to those who refer to it
	OnErrorFail = "fail" // the request fails
)

// Consumer is a caller. In a Set it has at least one of APIKey, JWT and MTLS; each of those
// that it has lets it in.
type Consumer struct {
	Name   string
	Pos    Pos
	APIKey bool          // by a key that pointsman makes
	JWT    *ConsumerJWT  // by a token that an issuer signed
	MTLS   *ConsumerMTLS // by a client certificate
	Scopes []string      // the most that it can have; a token may leave some out
	Sector string        // the consumer's own name unless written
	Rate   *Rate         // nil: no limit of its own
	// Subjects is how many distinct subjects may be revealed to it in an hour or a day; nil:
	// any number.
	Subjects *Rate
}

// ConsumerJWT says which tokens are a consumer's.
type ConsumerJWT struct {
	Issuer string            // name of an Issuer
	Claims map[string]string // claim: the exact text that it has; never empty in a Set
}

// ConsumerMTLS says which client certificate is a consumer's.
type ConsumerMTLS struct {
	CA   string // slash-separated path of a PEM file, relative to the manifests' root
	Name string // a SAN of the certificate: DNS name or URI
}

// Rate is a number of requests, or of subjects, in a time.
type Rate struct {
	Count int
	Per   time.Duration // a second, a minute or an hour; of subjects an hour or a day
}

// PerSecond returns the rate in requests per second.
func (r Rate) PerSecond() float64 { return float64(r.Count) / r.Per.Seconds() }

func (r Rate) String() string { return writeRate(r) }
