package manifest

import (
	"net/netip"
	"time"

	"go.yaml.in/yaml/v4"
)

// HTTPBackend is an HTTP origin, and everything that holds for whoever calls it.
type HTTPBackend struct {
	URL      string         // canonical origin and base path, no slash at the end; https unless Insecure
	Auth     *Auth          // nil: no credential
	Private  []netip.Prefix // private addresses that may be dialled, sorted
	Insecure bool           // plain HTTP is meant
	TLS      *TLS           // nil: the system's roots
	Methods  []string       // ceiling of what plugins may be granted, sorted; empty: every method
	Headers  HTTPHeaders
	Limits   HTTPLimits
	Retries  *Retries            // nil: none
	Breaker  *Breaker            // nil: none
	Hedge    *Hedge              // nil: none
	Labels   map[string][]string // label: paths of the fields of its answers that have it, sorted
	Check    string              // "GET /health": what a check of the back end may ask; empty: nothing
}

// HTTPHeaders bounds what plugins may set and widens what they see.
type HTTPHeaders struct {
	Request []string // ceiling of what plugins may be granted, canonical, sorted; empty: no ceiling
	Answer  []string // shown beside those of host/egress that always are, canonical, sorted
}

// HTTPLimits bounds one back end. A zero field means the default of host/egress.
type HTTPLimits struct {
	Time       time.Duration // one use with all its attempts, at most 30 s
	Bytes      int64         // one decoded answer, at most 8 MiB
	Ratio      int           // decoded to encoded bytes, at most 100
	Concurrent int           // requests at once, at most 10000
	Rate       Rate          // of attempts; the zero Rate is no limit
}

// Retries says how often a request of an idempotent method is repeated.
type Retries struct {
	Attempts int           // with the first, 2 to 10; DefaultAttempts unless written
	Time     time.Duration // of one attempt; 0: whatever is left of the limit
	Budget   int           // percent of what runs that may be repetitions; 0: host/egress's default
}

// DefaultAttempts is one request and two repetitions: where a third does not help, a back
// end is down for longer than a person waits.
const DefaultAttempts = 3

// Breaker says when a back end that fails is left alone. A zero field means the default of
// host/egress.
type Breaker struct {
	Percent  int           // of attempts that fail; DefaultPercent unless written
	Requests int           // attempts within the time below which it stays closed
	Within   time.Duration // the time that is looked at
	Open     time.Duration // how long it stays open
}

// DefaultPercent of failures opens a breaker: a back end that fails every other time helps
// nobody.
const DefaultPercent = 50

// Hedge asks a back end a second time while the first answer is awaited.
type Hedge struct {
	After time.Duration // from the first
}

// TLS says whom to trust and as whom to appear.
type TLS struct {
	CA                string             // slash-separated path of a PEM file, relative to the manifests' root; empty: the system's roots
	Pins              []string           // "sha256/" and base64, sorted; empty: any key that the roots vouch for
	MinVersion        string             // "1.2", "1.3" or empty: 1.2
	ServerName        string             // the name in the certificate; empty: the URL's host
	ClientCertificate *ClientCertificate // nil: none
}

// ClientCertificate is what a back end that wants one is shown.
type ClientCertificate struct {
	Secret string // name of a secret: the certificate chain and its private key, PEM
}

func httpBackend() form[HTTPBackend] {
	headers := object(HTTPHeaders{}, nil,
		key("request", list(1, 64, header(), itself), "the only headers that plugins may be granted to set", func(h *HTTPHeaders) *[]string { return &h.Request }),
		key("answer", list(1, 64, answerHeader(), itself), "headers of answers that plugins see beside the usual ones", func(h *HTTPHeaders) *[]string { return &h.Answer }))
	limits := object(HTTPLimits{}, nil,
		key("time", duration(10*time.Millisecond, MaxDeadline), "the longest that one request may take, with all its attempts", func(l *HTTPLimits) *time.Duration { return &l.Time }),
		key("bytes", size[int64](1, 8<<20), "the largest answer, decoded", func(l *HTTPLimits) *int64 { return &l.Bytes }),
		key("ratio", number(1, 100), "how many times larger an answer may become when it is decompressed", func(l *HTTPLimits) *int { return &l.Ratio }),
		key("concurrent", number(1, 10000), "how many requests may run at once", func(l *HTTPLimits) *int { return &l.Concurrent }),
		key("rate", rate(), "how many requests may be sent, such as 200/s; what is too much waits as long as its time allows", func(l *HTTPLimits) *Rate { return &l.Rate }))
	return object(HTTPBackend{}, checkHTTPBackend,
		required(key("url", origin(), "origin and base path, such as https://crm.example", func(b *HTTPBackend) *string { return &b.URL })),
		key("auth", pointer(auth()), "which secret goes where in each request", func(b *HTTPBackend) **Auth { return &b.Auth }),
		key("private", list(0, 100, prefix(), netip.Prefix.String), "private addresses that may be dialled", func(b *HTTPBackend) *[]netip.Prefix { return &b.Private }),
		key("insecure", boolean(), "true if plain HTTP is meant", func(b *HTTPBackend) *bool { return &b.Insecure }),
		key("tls", pointer(tlsForm()), "whom to trust, and as whom to appear", func(b *HTTPBackend) **TLS { return &b.TLS }),
		key("methods", list(1, 6, choice(codeWord, Methods()...), itself), "the only methods that plugins may be granted", func(b *HTTPBackend) *[]string { return &b.Methods }),
		key("headers", headers, "what plugins may set at most, and see beside the usual", func(b *HTTPBackend) *HTTPHeaders { return &b.Headers }),
		key("limits", limits, "bounds on the traffic", func(b *HTTPBackend) *HTTPLimits { return &b.Limits }),
		key("retries", pointer(retries()), "{} or more: GET, HEAD, PUT and DELETE are repeated when the back end fails", func(b *HTTPBackend) **Retries { return &b.Retries }),
		key("breaker", pointer(breaker()), "{} or more: a back end that fails is left alone for a while", func(b *HTTPBackend) **Breaker { return &b.Breaker }),
		key("hedge", pointer(hedge()), "GET and HEAD are asked a second time when the first takes long", func(b *HTTPBackend) **Hedge { return &b.Hedge }),
		key("labels", labels(), "labels of fields in its answers: label, and the paths that have it", func(b *HTTPBackend) *map[string][]string { return &b.Labels }),
		key("check", checkEndpoint(), "a harmless request for pointsman backend check, such as GET /health", func(b *HTTPBackend) *string { return &b.Check }))
}

func retries() form[Retries] {
	return object(Retries{Attempts: DefaultAttempts}, nil,
		key("attempts", number(2, 10), "how often at most, the first included", func(r *Retries) *int { return &r.Attempts }),
		key("time", duration(10*time.Millisecond, MaxDeadline), "the longest that one attempt may take", func(r *Retries) *time.Duration { return &r.Time }),
		key("budget", number(1, 100), "percent of what runs that may be repetitions", func(r *Retries) *int { return &r.Budget }))
}

func breaker() form[Breaker] {
	return object(Breaker{Percent: DefaultPercent}, nil,
		key("percent", number(1, 100), "share of attempts that fail which opens it", func(b *Breaker) *int { return &b.Percent }),
		key("requests", number(1, 10000), "how many attempts it takes to say so", func(b *Breaker) *int { return &b.Requests }),
		key("within", duration(100*time.Millisecond, 10*time.Minute), "the time that is looked at", func(b *Breaker) *time.Duration { return &b.Within }),
		key("open", duration(10*time.Millisecond, 10*time.Minute), "how long the back end is left alone before one request tries again", func(b *Breaker) *time.Duration { return &b.Open }))
}

func hedge() form[Hedge] {
	return object(Hedge{}, nil,
		required(key("after", duration(time.Millisecond, MaxDeadline), "how long the first answer is awaited alone", func(h *Hedge) *time.Duration { return &h.After })))
}

// checkTimes reports times that are longer than the whole that they are part of.
func checkTimes(r *reader, n *yaml.Node, at string, b *HTTPBackend) {
	whole := b.Limits.Time
	if whole == 0 {
		whole = DefaultHTTPTime
	}
	if b.Retries != nil && b.Retries.Time > whole {
		r.add(child(n, "retries", "time"), join(at, "retries.time"), codeContradiction, "", "one attempt cannot take longer than the whole request, which may take %s", written(int64(whole), timeUnits))
	}
	if b.Hedge != nil && b.Hedge.After >= whole {
		r.add(child(n, "hedge", "after"), join(at, "hedge.after"), codeContradiction, "", "a second request would never be sent: the whole may take %s", written(int64(whole), timeUnits))
	}
}

// DefaultHTTPTime is host/egress's default of HTTPLimits.Time.
const DefaultHTTPTime = 2 * time.Second
