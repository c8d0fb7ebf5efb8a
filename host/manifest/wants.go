package manifest

import "go.yaml.in/yaml/v4"

// Wants is what the plugin needs to be granted. The zero value wants nothing.
type Wants struct {
	HTTP    []HTTPWant    // sorted by Backend
	SQL     []SQLWant     // sorted by Backend
	KV      *KVWant       // nil: it keeps nothing
	Call    []CallWant    // sorted by plugin and function
	Pointer []PointerWant // sorted
	Parcel  *ParcelWant   // nil: it takes texts
	Log     *LogWant      // nil: no logging
}

// HTTPWant is a back end that the plugin calls, under the name that the plugin uses.
type HTTPWant struct {
	Backend string
	Allow   []string // "GET /x/{id}", sorted
	Query   []string
	Headers []string // canonical, sorted
	Reason  string   // for the admin who grants it
}

// SQLWant is a database whose statements the plugin uses, under the names that the plugin
// uses for both.
type SQLWant struct {
	Backend    string
	Statements []string // sorted
	Reason     string
}

// KVWant is the wish to keep values.
type KVWant struct{ Reason string }

// CallWant is a function of another plugin that the plugin calls.
type CallWant struct {
	Plugin   string
	Function string
	Reason   string
}

// PointerWant is the wish to open or mint the pointers of one domain: exactly one of Open
// and Mint is set.
type PointerWant struct {
	Open   string
	Mint   string
	Reason string
}

// ParcelWant is the wish to take documents as parcels.
type ParcelWant struct{ Reason string }

// LogWant is the wish to write to the log.
type LogWant struct{ Reason string }

// because is the key with which authors say what they need something for.
func because[T any](place func(*T) *string) field[T] {
	return required(key("reason", free(500), "why, for the admin who grants it", place))
}

func wantsForm() form[Wants] {
	http := object(HTTPWant{}, nil,
		required(key("backend", name(plainName), "the name that the plugin uses for the back end", func(w *HTTPWant) *string { return &w.Backend })),
		required(key("allow", list(1, 200, endpoint(), itself), "methods and paths that it calls", func(w *HTTPWant) *[]string { return &w.Allow })),
		key("query", list(0, 100, query(), itself), "query parameters that it sets", func(w *HTTPWant) *[]string { return &w.Query }),
		key("headers", list(0, 100, header(), itself), "headers that it sets", func(w *HTTPWant) *[]string { return &w.Headers }),
		because(func(w *HTTPWant) *string { return &w.Reason }))
	sql := object(SQLWant{}, nil,
		required(key("backend", name(plainName), "the name that the plugin uses for the database", func(w *SQLWant) *string { return &w.Backend })),
		required(key("statements", list(1, 200, name(plainName), itself), "names of the statements that it uses", func(w *SQLWant) *[]string { return &w.Statements })),
		because(func(w *SQLWant) *string { return &w.Reason }))
	kv := object(KVWant{}, nil, because(func(w *KVWant) *string { return &w.Reason }))
	call := object(CallWant{}, nil,
		required(functionField("function", "which function, as plugin.function", useCall, func(w *CallWant) (*string, *string) { return &w.Plugin, &w.Function })),
		because(func(w *CallWant) *string { return &w.Reason }))
	pointers := object(PointerWant{}, func(r *reader, n *yaml.Node, at string, _ *PointerWant) { checkOneOf(r, n, at, "open", "mint") },
		key("open", name(plainName), "the domain whose pointers it opens", func(w *PointerWant) *string { return &w.Open }),
		key("mint", name(plainName), "the domain whose ids it makes pointers of", func(w *PointerWant) *string { return &w.Mint }),
		because(func(w *PointerWant) *string { return &w.Reason }))
	parcels := object(ParcelWant{}, nil, because(func(w *ParcelWant) *string { return &w.Reason }))
	log := object(LogWant{}, nil, because(func(w *LogWant) *string { return &w.Reason }))
	return object(Wants{}, nil,
		key(grantHTTP, distinct(1, 50, http, func(w HTTPWant) string { return w.Backend }, codeSameAs), "back ends that it calls", func(w *Wants) *[]HTTPWant { return &w.HTTP }),
		key(grantSQL, distinct(1, 50, sql, func(w SQLWant) string { return w.Backend }, codeSameAs), "statements that it uses", func(w *Wants) *[]SQLWant { return &w.SQL }),
		key(grantKV, pointer(kv), "that it keeps values of its own", func(w *Wants) **KVWant { return &w.KV }),
		key(grantCall, list(1, 50, call, func(w CallWant) string { return w.Plugin + "." + w.Function }), "functions of other plugins that it calls", func(w *Wants) *[]CallWant { return &w.Call }),
		key(grantPointer, list(1, 50, pointers, func(w PointerWant) string { return PointerGrant{w.Open, w.Mint}.id() }), "domains whose pointers it opens or mints", func(w *Wants) *[]PointerWant { return &w.Pointer }),
		key(grantParcel, pointer(parcels), "that it takes documents as parcels", func(w *Wants) **ParcelWant { return &w.Parcel }),
		key(grantLog, pointer(log), "that it writes to the log", func(w *Wants) **LogWant { return &w.Log }))
}
