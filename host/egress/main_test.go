package egress_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pointsman/host/broker"
	"pointsman/host/credential"
	"pointsman/host/egress"
)

func TestMain(m *testing.M) {
	// net/http reads the environment once, and never uses a proxy for loopback addresses:
	// TestProxyFromTheEnvironmentIsIgnored goes to a name.
	_ = os.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // where nobody listens; it fails for no such name
	log.SetOutput(io.Discard)                         // net/http logs what hostile servers send on idle connections
	// toxiproxy, which only tests run, forgets its own when one side of a connection leaves.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).write"))
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// rawServer answers every connection's requests with answer, which gets the head of the
// request as it came over the wire. It returns host and port.
func rawServer(t testing.TB, answer func(c net.Conn, head string)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c, answer)
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return l.Addr().String()
}

func serve(c net.Conn, answer func(net.Conn, string)) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReader(c)
	var head strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		head.WriteString(line)
		if line == "\r\n" {
			answer(c, head.String())
			return
		}
	}
}

// say returns an answer that writes text and hangs up.
func say(text string) func(net.Conn, string) {
	return func(c net.Conn, _ string) { fmt.Fprint(c, text) }
}

// backend returns a client for the server at addr, after edit has had its way with the
// configuration.
func backend(t testing.TB, addr string, edit func(*egress.Config)) *egress.Backend {
	t.Helper()
	c := egress.Config{Name: "crm", URL: "http://" + addr, Insecure: true, Private: loopback}
	if edit != nil {
		edit(&c)
	}
	b, err := egress.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func get(t testing.TB, b *egress.Backend) (egress.Answer, error) {
	t.Helper()
	return b.Do(context.Background(), egress.Request{Method: "GET", Path: "/x"})
}

// asking is get beside the test; done gets its error.
func asking(ctx context.Context, b *egress.Backend) (done <-chan error) {
	end := make(chan error, 1)
	go func() {
		_, err := b.Do(ctx, egress.Request{Method: "GET", Path: "/x"})
		end <- err
	}()
	return end
}

// wantKind fails unless err is a *broker.Error of that kind that gives nothing away.
func wantKind(t testing.TB, err error, want broker.Kind, secrets ...string) {
	t.Helper()
	e, ok := errors.AsType[*broker.Error](err)
	if !ok {
		t.Errorf("got %v (%T), want a *broker.Error of kind %v", err, err, want)
		return
	}
	if e.Kind != want {
		t.Errorf("kind %v (%v), want %v", e.Kind, err, want)
	}
	for _, s := range append(secrets, "127.0.0.1", "http://", "net/http", "Location") {
		if strings.Contains(e.Detail, s) {
			t.Errorf("detail %q holds %q", e.Detail, s)
		}
	}
	for _, s := range secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("error %q holds %q", err, s)
		}
	}
}

// vectors reads a file of test vectors that projects share: tab-separated lines.
func vectors(t testing.TB, name string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../../shared/vectors/" + name)
	if err != nil {
		t.Skipf("vectors/%s not present", name)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line != "" && !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}

// secret is one in memory. Former values are taken out of answers, too.
type secret struct {
	value  string
	former []string
}

func (s secret) Expose() []byte { return []byte(s.value) }

func (s secret) Former() (old [][]byte) {
	for _, f := range s.former {
		old = append(old, []byte(f))
	}
	return old
}

// auth places value as the broker does.
func auth(t testing.TB, as, name, value string, former ...string) egress.Placement {
	t.Helper()
	p, err := credential.NewStatic(
		credential.Static{Secret: "s", Spot: credential.Spot{As: as, Name: name}},
		credential.Parts{Secret: func(string) (credential.Secret, error) { return secret{value, former}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
