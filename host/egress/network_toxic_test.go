package egress_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"pointsman/host/broker"
	"pointsman/host/egress"
)

// Halves of the answer that comes over a bad network. The second one is in one TLS record
// and one write, so that a cut within it leaves nothing in the proxy.
var (
	firstHalf  = strings.Repeat("first-", 1000)
	secondHalf = strings.Repeat("second", 2000)
	whole      = firstHalf + secondHalf
)

// network is a TLS server behind a proxy that can be told to do harm.
type network struct {
	t     testing.TB
	srv   *httptest.Server
	pool  *x509.CertPool
	proxy atomic.Pointer[toxiproxy.Proxy]
	asked atomic.Int32 // requests
	conns atomic.Int32 // of the server's side
	sent  atomic.Int64 // bytes of all connections, TLS and all

	framing string                            // how the end of a body is told
	mid     atomic.Pointer[func(asked int32)] // runs between the halves
}

// framings are the three ways of HTTP/1.1 to tell where a body ends.
var framings = []string{"length", "chunked", "close"}

func newNetwork(t testing.TB, framing string) *network {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // some of the proxy's parts log where nobody asked them to
	n := &network{t: t, framing: framing, pool: x509.NewCertPool()}
	n.srv = httptest.NewUnstartedServer(n)
	n.srv.Config.ErrorLog = discard()
	n.srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.conns.Add(1)
		}
	}
	n.srv.Listener = counted{n.srv.Listener, &n.sent}
	n.srv.StartTLS()
	n.srv.TLS.DynamicRecordSizingDisabled = true // no connection was made yet
	n.pool.AddCert(n.srv.Certificate())
	n.heal()
	t.Cleanup(func() {
		n.proxy.Load().Stop()
		n.srv.CloseClientConnections()
		n.srv.Close()
	})
	return n
}

// counted counts what is sent over its connections.
type counted struct {
	net.Listener
	sent *atomic.Int64
}

func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l.sent}, err
}

type countedConn struct {
	net.Conn
	sent *atomic.Int64
}

func (c countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// ServeHTTP sends the halves, and what mid does between them.
func (n *network) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	asked := n.asked.Add(1)
	switch n.framing {
	case "length":
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
	case "close":
		w.Header().Set("Transfer-Encoding", "identity") // net/http's word for: until the end
	}
	_, _ = fmt.Fprint(w, firstHalf)
	_ = http.NewResponseController(w).Flush()
	if mid := n.mid.Load(); mid != nil {
		(*mid)(asked)
	}
	_, _ = fmt.Fprint(w, secondHalf)
}

// heal ends every connection and goes on, at the same address, without harm.
func (n *network) heal() {
	listen := "127.0.0.1:0"
	if old := n.proxy.Load(); old != nil {
		old.Stop()
		listen = old.Listen
	}
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "crm", listen, n.srv.Listener.Addr().String())
	if err := p.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.proxy.Store(p)
	n.mid.Store(nil)
}

// harm does that to the connections that are, and those that will be made.
func (n *network) harm(toxics ...string) {
	for _, toxic := range toxics {
		if _, err := n.proxy.Load().Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			n.t.Errorf("%s: %v", toxic, err)
		}
	}
}

// calm takes the harm away and leaves the connections.
func (n *network) calm() { n.proxy.Load().Toxics.ResetToxics(context.Background()) }

// harmMid does it within a body, when the first half is on its way.
func (n *network) harmMid(toxics ...string) {
	var once atomic.Bool
	f := func(int32) {
		if !once.Swap(true) {
			n.harm(toxics...)
		}
	}
	n.mid.Store(&f)
}

// oneExchange is how many bytes the server sends on a connection with one exchange.
func (n *network) oneExchange() int64 {
	n.t.Helper()
	b := n.backend(nil)
	defer b.Close()
	before := n.sent.Load()
	n.well(b)
	return n.sent.Load() - before
}

func (n *network) backend(edit func(*egress.Config)) *egress.Backend {
	n.t.Helper()
	return backend(n.t, "", func(c *egress.Config) {
		c.URL, c.Insecure, c.Time = "https://"+n.proxy.Load().Listen, false, long
		c.TLS.RootCAs, c.Concurrent = n.pool, 1 // a slot that is not given back ends the test
		if edit != nil {
			edit(c)
		}
	})
}

// well fails unless an exchange brings the whole answer.
func (n *network) well(b *egress.Backend) {
	n.t.Helper()
	if a, err := get(n.t, b); err != nil || a.Status != 200 || string(a.Body) != whole {
		n.t.Fatalf("over a good network: %d, %d bytes of %d, %v", a.Status, len(a.Body), len(whole), err)
	}
}

// patience is what a caller has for an answer that does not come.
const patience = 400 * time.Millisecond

// ails are the harms, and what the caller of a network that does them is told.
var ails = []struct {
	name string
	do   func(n *network, exchange int64)
	want broker.Kind
	ends bool // as soon as the server closes the connection
}{
	{"cut within the body", func(n *network, size int64) { n.harm(limited(size)) }, broker.Upstream, false},
	{"reset within the body", func(n *network, size int64) {
		// With no toxicity it lets everything pass, but the connections end by a reset.
		n.harm(`{"type":"reset_peer","toxicity":0}`, limited(size))
	}, broker.Upstream, false},
	{"reset before anything", func(n *network, _ int64) { n.harm(`{"type":"reset_peer"}`) }, broker.Upstream, false},
	{"cut within the handshake", func(n *network, _ int64) { n.harm(`{"type":"limit_data","attributes":{"bytes":700}}`) }, broker.Upstream, false},
	{"a byte a second from the middle", func(n *network, _ int64) {
		n.harmMid(`{"type":"slicer","attributes":{"average_size":1,"delay":1000000}}`)
	}, broker.UpstreamTimeout, false},
	{"no byte any more from the middle", func(n *network, _ int64) { n.harmMid(`{"type":"timeout"}`) }, broker.UpstreamTimeout, true},
	{"a kilobyte a second from the middle", func(n *network, _ int64) {
		n.harmMid(`{"type":"bandwidth","attributes":{"rate":1}}`)
	}, broker.UpstreamTimeout, false},
	{"a delay without end", func(n *network, _ int64) {
		n.harm(`{"type":"latency","attributes":{"latency":60000,"jitter":1000}}`)
	}, broker.UpstreamTimeout, false},
}

// limited cuts within the second half of an exchange of that size.
func limited(size int64) string {
	return fmt.Sprintf(`{"type":"limit_data","attributes":{"bytes":%d}}`, size-int64(len(secondHalf))/2)
}

// impatient asks once, for patience where nothing else ends it.
func impatient(b *egress.Backend, method string, limit time.Duration) (egress.Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return b.Do(ctx, egress.Request{Method: method, Path: "/x"})
}

func limitOf(want broker.Kind) time.Duration {
	if want == broker.UpstreamTimeout {
		return patience
	}
	return long
}

// TestBadNetwork: what a network does to an answer over TLS makes it an error of one kind,
// with nothing of the answer in it, however the end of a body is told. When the network is
// well again, so is the same client, over one connection.
func TestBadNetwork(t *testing.T) {
	for _, framing := range framings {
		n := newNetwork(t, framing)
		size := n.oneExchange()
		for _, ail := range ails {
			for _, attempts := range []int{0, 3} {
				t.Run(fmt.Sprintf("%s, %s, %d attempts", ail.name, framing, attempts), func(t *testing.T) {
					if ail.ends && framing == "close" {
						t.Skip("the proxy passes on that the server closed the connection")
					}
					b := n.backend(func(c *egress.Config) { c.Retries.Attempts = attempts })
					ail.do(n, size)
					a, err := impatient(b, "GET", limitOf(ail.want))
					wantKind(t, err, ail.want, "first", "second")
					if a.Status != 0 || a.Body != nil || a.Header != nil {
						t.Errorf("half an answer is delivered: %d, %v, %d bytes", a.Status, a.Header, len(a.Body))
					}
					n.heal()
					before := n.conns.Load()
					for range 5 {
						n.well(b)
					}
					if made := n.conns.Load() - before; framing != "close" && made > 2 {
						t.Errorf("%d connections for 5 exchanges after it, want 1", made)
					}
				})
			}
		}
	}
}

// TestSlowNetwork: what comes late and in pieces is the same answer, and one connection
// does for all exchanges, during it and after.
func TestSlowNetwork(t *testing.T) {
	n := newNetwork(t, "chunked")
	b := n.backend(nil)
	n.well(b)
	for name, toxics := range map[string][]string{
		"latency and jitter":    {`{"type":"latency","attributes":{"latency":30,"jitter":25}}`, `{"type":"latency","name":"up","stream":"upstream","attributes":{"latency":30,"jitter":25}}`},
		"slices":                {`{"type":"slicer","attributes":{"average_size":97,"size_variation":50,"delay":200}}`},
		"a thin wire":           {`{"type":"bandwidth","attributes":{"rate":200}}`},
		"all of them":           {`{"type":"latency","attributes":{"latency":10,"jitter":9}}`, `{"type":"slicer","attributes":{"average_size":500,"delay":100}}`, `{"type":"bandwidth","attributes":{"rate":500}}`},
		"what is slow to close": {`{"type":"slow_close","attributes":{"delay":60000}}`},
	} {
		t.Run(name, func(t *testing.T) {
			n.harm(toxics...)
			for range 3 {
				n.well(b)
			}
			n.calm()
			n.well(b)
		})
	}
	if made := n.conns.Load(); made > 3 { // one, and more should the machine have stalled
		t.Errorf("%d connections, want 1", made)
	}
}

// TestSlowClose: nobody waits for a connection to end once TLS has said that the answer has.
func TestSlowClose(t *testing.T) {
	for _, framing := range framings {
		t.Run(framing, func(t *testing.T) {
			n := newNetwork(t, framing)
			n.harm(`{"type":"slow_close","attributes":{"delay":60000}}`)
			b := n.backend(nil) // whose time is less than that
			for range 3 {
				n.well(b)
			}
		})
	}
}

// TestRetryOverABadNetwork: an attempt whose answer breaks off is made again, if it may be,
// and the answer is the second one's alone.
func TestRetryOverABadNetwork(t *testing.T) {
	for _, ail := range ails[:2] {
		for _, framing := range framings {
			for _, tt := range []struct {
				method    string
				attempts  int
				wantAsked int32
				wantKind  broker.Kind // 0: the whole answer
			}{
				{"GET", 0, 1, broker.Upstream},
				{"POST", 3, 1, broker.Upstream},
				{"GET", 3, 2, 0},
				{"PUT", 3, 2, 0},
			} {
				t.Run(fmt.Sprintf("%s, %s, %s, %d attempts", ail.name, framing, tt.method, tt.attempts), func(t *testing.T) {
					n := newNetwork(t, framing)
					size := n.oneExchange()
					ail.do(n, size)
					n.asked.Store(0)
					calm := func(asked int32) {
						if asked == 2 {
							n.calm()
						}
					}
					n.mid.Store(&calm)
					a, err := impatient(n.backend(func(c *egress.Config) { c.Retries.Attempts = tt.attempts }), tt.method, long)
					// The proxy may break off the second attempt, too, before it has become calm.
					if asked := n.asked.Load(); asked < tt.wantAsked || asked > max(1, int32(tt.attempts)) || tt.wantAsked == 1 && asked > 1 {
						t.Errorf("asked %d times, want %d", asked, tt.wantAsked)
					}
					switch {
					case tt.wantKind != 0:
						wantKind(t, err, tt.wantKind)
					case err != nil || string(a.Body) != whole:
						t.Errorf("got %d bytes of %d, %v", len(a.Body), len(whole), err)
					}
				})
			}
		}
	}
}

// TestBreakerOverABadNetwork: each harm opens the breaker, an open one makes no connection,
// and it closes when the network is well.
func TestBreakerOverABadNetwork(t *testing.T) {
	for _, ail := range ails {
		for _, attempts := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s, %d attempts", ail.name, attempts), func(t *testing.T) {
				t.Parallel()
				n := newNetwork(t, "length")
				size := n.oneExchange()
				var log lockedBuffer
				const open = 2 * time.Second
				b := n.backend(func(c *egress.Config) {
					c.Retries.Attempts = attempts
					c.Breaker = egress.Breaker{Percent: 100, Requests: 4, Within: time.Hour, Open: open}
					c.Log = slog.New(slog.NewTextHandler(&log, nil))
				})
				var err error
				for range 20 {
					if strings.Contains(log.String(), "to=open") {
						break
					}
					ail.do(n, size)
					_, err = impatient(b, "GET", limitOf(ail.want))
					if kind := broker.KindOf(err); kind != ail.want && kind != broker.Unavailable { // it may open between two attempts
						t.Fatalf("%v before it opened, want %v", err, ail.want)
					}
					n.heal()
				}
				if !strings.Contains(log.String(), "to=open") {
					t.Fatal("the breaker did not open")
				}
				before, opened := n.conns.Load(), time.Now()
				_, err = get(t, b)
				if time.Since(opened) < open/2 { // else it may have let a trial through
					wantKind(t, err, broker.Unavailable)
					if n.conns.Load() != before {
						t.Error("an open breaker made a connection")
					}
				}
				for deadline := time.Now().Add(long); ; time.Sleep(50 * time.Millisecond) {
					if _, err := get(t, b); err == nil {
						break
					}
					if time.Now().After(deadline) {
						t.Fatal("the breaker never closed")
					}
				}
				for range 5 {
					n.well(b)
				}
				if text := log.String(); !strings.Contains(text, "to=closed") {
					t.Errorf("the log does not tell that it closed:\n%s", text)
				}
			})
		}
	}
}

// TestBadNetworkLeavesNothingOpen counts descriptors. TestMain looks for goroutines.
func TestBadNetworkLeavesNothingOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the number of descriptors is read from /proc")
	}
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	n := newNetwork(t, "length")
	size := n.oneExchange() // what the process opens once is open
	n.heal()
	n.srv.CloseClientConnections()
	before := descriptors()
	for _, ail := range ails {
		b := n.backend(func(c *egress.Config) { c.Retries.Attempts = 2 })
		for range 3 {
			ail.do(n, size)
			if _, err := impatient(b, "GET", limitOf(ail.want)); err == nil {
				t.Errorf("%s: no error", ail.name)
			}
			n.heal()
		}
		n.well(b)
		b.Close()
	}
	n.heal()
	n.srv.CloseClientConnections()
	for deadline := time.Now().Add(long); ; time.Sleep(50 * time.Millisecond) {
		if now := descriptors(); now <= before {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%d descriptors are open, %d were before", now, before)
		}
	}
}
