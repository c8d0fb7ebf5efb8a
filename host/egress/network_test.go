package egress_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"pointsman/host/broker"
	"pointsman/host/egress"
)

// nameServer is a DNS server on this machine, by UDP and TCP, as a resolver meets it.
func nameServer(t testing.TB, answer func(q dnsmessage.Question) []dnsmessage.Resource) *net.Resolver {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Skipf("the TCP port beside the UDP port is taken: %v", err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := packets.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := nameReply(buf[:n], 1232, answer); reply != nil {
				_, _ = packets.WriteTo(reply, from)
			}
		}
	})
	group.Go(func() {
		for {
			c, err := streams.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			var size [2]byte
			if _, err := io.ReadFull(c, size[:]); err == nil {
				ask := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(c, ask); err == nil {
					reply := nameReply(ask, 1<<16-1, answer)
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
				}
			}
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = packets.Close()
		_ = streams.Close()
		group.Wait()
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, packets.LocalAddr().String())
	}}
}

// nameReply answers one question; what is longer than most bytes is cut off and said to be.
func nameReply(ask []byte, most int, answer func(dnsmessage.Question) []dnsmessage.Resource) []byte {
	var q dnsmessage.Message
	if q.Unpack(ask) != nil || len(q.Questions) == 0 {
		return nil
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RecursionAvailable: true}, Questions: q.Questions[:1], Answers: answer(q.Questions[0])}
	text, err := m.Pack()
	if err == nil && len(text) > most {
		m.Answers, m.Truncated = nil, true
		text, err = m.Pack()
	}
	if err != nil {
		return nil
	}
	return text
}

// records answers A and AAAA questions with these addresses.
func records(addrs ...string) func(dnsmessage.Question) []dnsmessage.Resource {
	return func(q dnsmessage.Question) []dnsmessage.Resource {
		var out []dnsmessage.Resource
		for _, text := range addrs {
			a := netip.MustParseAddr(text)
			h := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}
			switch {
			case q.Type == dnsmessage.TypeA && a.Is4():
				out = append(out, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
			case q.Type == dnsmessage.TypeAAAA && a.Is6():
				out = append(out, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
			}
		}
		return out
	}
}

// listener counts the connections that anybody makes to it, and answers them.
func listener(t testing.TB) (port string, dialled *atomic.Int32) {
	dialled = new(atomic.Int32)
	addr := rawServer(t, func(c net.Conn, _ string) {
		dialled.Add(1)
		fmt.Fprint(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port, dialled
}

// TestNamesThatLeadInside: whatever a name server says, only what the admin listed is
// dialled; where loopback is not listed, nobody is.
func TestNamesThatLeadInside(t *testing.T) {
	for name, addrs := range map[string][]string{
		"loopback":               {"127.0.0.1"},
		"all of loopback":        {"127.8.8.8"},
		"this network":           {"0.0.0.0"},
		"mapped":                 {"::ffff:127.0.0.1"},
		"compatible":             {"::127.0.0.1"},
		"translated":             {"::ffff:0:127.0.0.1"},
		"NAT64":                  {"64:ff9b::7f00:1"},
		"local NAT64":            {"64:ff9b:1::7f00:1"},
		"6to4":                   {"2002:7f00:1::1"},
		"Teredo":                 {"2001:0:7f00:1::80ff:fffe"},
		"loopback by IPv6":       {"::1"},
		"unspecified by IPv6":    {"::"},
		"metadata":               {"169.254.169.254"},
		"metadata by NAT64":      {"64:ff9b::a9fe:a9fe"},
		"private":                {"10.0.0.1", "192.168.0.1", "172.16.0.1", "fd00::1"},
		"link local":             {"fe80::1"},
		"multicast":              {"224.0.0.1", "ff02::1"},
		"many, all of them not":  many("127.0.0.", 200),
		"a good one is not near": {"127.0.0.1", "::1", "169.254.169.254"},
	} {
		t.Run(name, func(t *testing.T) {
			port, dialled := listener(t)
			b := backend(t, "", func(c *egress.Config) {
				c.URL, c.Private, c.Resolver = "http://crm.example:"+port, nil, nameServer(t, records(addrs...))
			})
			_, err := get(t, b)
			wantKind(t, err, broker.Denied, "crm.example")
			if dialled.Load() != 0 {
				t.Error("somebody was dialled")
			}
		})
	}
}

func many(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(prefix, i+1)
	}
	return out
}

// TestManyAddresses: of 200 the one that is allowed is dialled, and no other.
func TestManyAddresses(t *testing.T) {
	port, dialled := listener(t)
	addrs := append(many("127.1.0.", 199), "127.0.0.1")
	b := backend(t, "", func(c *egress.Config) {
		c.URL, c.Resolver, c.Time = "http://crm.example:"+port, nameServer(t, records(addrs...)), long
		c.Private = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	if _, err := get(t, b); err != nil || dialled.Load() != 1 {
		t.Errorf("%v, dialled %d times, want 1", err, dialled.Load())
	}
}

// TestChangingNames: a name server that changes its mind between any two questions.
func TestChangingNames(t *testing.T) {
	port, dialled := listener(t)
	var n atomic.Int32
	b := backend(t, "", func(c *egress.Config) {
		c.URL, c.Private = "http://crm.example:"+port, []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
		c.Resolver = nameServer(t, func(q dnsmessage.Question) []dnsmessage.Resource {
			if q.Type != dnsmessage.TypeA {
				return nil
			}
			return records([]string{"127.0.0.2", "127.0.0.1"}[int(n.Add(1))%2])(q)
		})
	})
	for range 10 { // nobody listens at the allowed one
		if _, err := get(t, b); err == nil {
			t.Error("an exchange went through")
		}
	}
	if dialled.Load() != 0 {
		t.Errorf("the address that is not allowed was dialled %d times", dialled.Load())
	}
}

func TestAliases(t *testing.T) {
	alias := func(from, to string) dnsmessage.Resource {
		return dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(from), Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)},
		}
	}
	for name, tt := range map[string]struct {
		answer func(dnsmessage.Question) []dnsmessage.Resource
		want   broker.Kind
	}{
		"a loop": {func(dnsmessage.Question) []dnsmessage.Resource {
			return []dnsmessage.Resource{alias("crm.example.", "b.example."), alias("b.example.", "crm.example.")}
		}, broker.Upstream},
		"itself": {func(dnsmessage.Question) []dnsmessage.Resource {
			return []dnsmessage.Resource{alias("crm.example.", "crm.example.")}
		}, broker.Upstream},
		"a long way inside": {func(q dnsmessage.Question) []dnsmessage.Resource {
			var out []dnsmessage.Resource
			last := "crm.example."
			for i := range 30 {
				next := fmt.Sprintf("n%d.example.", i)
				out = append(out, alias(last, next))
				last = next
			}
			q.Name = dnsmessage.MustNewName(last)
			return append(out, records("127.0.0.1")(q)...)
		}, broker.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			port, dialled := listener(t)
			b := backend(t, "", func(c *egress.Config) {
				c.URL, c.Private, c.Resolver, c.Time = "http://crm.example:"+port, nil, nameServer(t, tt.answer), long
			})
			_, err := get(t, b)
			wantKind(t, err, tt.want)
			if dialled.Load() != 0 {
				t.Error("somebody was dialled")
			}
		})
	}
}

// TestNamesInDisguise: digits of other scripts, and dots, never become an address.
func TestNamesInDisguise(t *testing.T) {
	for _, host := range []string{"１２７.０.０.１", "127。0。0。1", "①②⑦.⓪.⓪.①", "127.0.0.１", "localhost\u3002", "xn--", "%31%32%37.0.0.1", "0x7f.1", "017700000001", "127.1", "[::ffff:7f00:1]", "[::1%lo]"} {
		if _, err := egress.New(egress.Config{Name: "x", URL: "https://" + host}); err == nil {
			t.Errorf("%q accepted", host)
		}
	}
}

// TestSlowTLS: a server that takes the connection and never ends the handshake.
func TestSlowTLS(t *testing.T) {
	for name, greet := range map[string]func(net.Conn){
		"silence":       func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"half a record": func(c net.Conn) { _, _ = c.Write([]byte{22, 3, 3, 0}); _, _ = io.Copy(io.Discard, c) },
		"a byte at a time": func(c net.Conn) {
			for _, err := c.Write([]byte{22}); err == nil; _, err = c.Write([]byte{3}) {
				time.Sleep(20 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			group.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					group.Go(func() {
						defer c.Close()
						_ = c.SetDeadline(time.Now().Add(10 * time.Second))
						greet(c)
					})
				}
			})
			t.Cleanup(func() { _ = l.Close(); group.Wait() })
			b := backend(t, "", func(c *egress.Config) {
				c.URL, c.Insecure, c.Time = "https://"+l.Addr().String(), false, 300*time.Millisecond
			})
			start := time.Now()
			_, err = get(t, b)
			if kind := broker.KindOf(err); kind != broker.UpstreamTimeout && kind != broker.Upstream {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v, want an end soon", took)
			}
		})
	}
}

// TestResets: a reset at any byte of an answer is an error, never half an answer.
func TestResets(t *testing.T) {
	const whole = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
	for cut := 0; cut < len(whole); cut += 3 {
		addr := rawServer(t, func(c net.Conn, _ string) {
			fmt.Fprint(c, whole[:cut])
			_ = c.(*net.TCPConn).SetLinger(0)
		})
		if a, err := get(t, backend(t, addr, nil)); err == nil {
			t.Errorf("cut at byte %d (%q): got %d %q", cut, whole[max(0, cut-10):cut], a.Status, a.Body)
		}
	}
	a, err := get(t, backend(t, rawServer(t, say(whole)), nil))
	if err != nil || string(a.Body) != "hello world" {
		t.Errorf("the whole: %q, %v", a.Body, err)
	}
}

// TestTrailersAndStatusTextAreDropped, with whatever is in them.
func TestTrailersAndStatusTextAreDropped(t *testing.T) {
	addr := rawServer(t, say("HTTP/1.1 200 canary canary\r\nTrailer: Etag, X-Cost, Retry-After\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nEtag: \"canary\"\r\nX-Cost: canary\r\nRetry-After: 77\r\n\r\n"))
	a, err := get(t, backend(t, addr, func(c *egress.Config) { c.AnswerHeaders = []string{"X-Cost"} }))
	if err != nil || string(a.Body) != "ok" || strings.Contains(fmt.Sprint(a), "canary") || a.After != 0 || len(a.Header) != 0 {
		t.Errorf("got %+v, %v, want the body alone", a, err)
	}
}
