package egress_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"pgregory.net/rapid"

	"pointsman/host/broker"
	"pointsman/host/egress"
)

func TestAddressVectors(t *testing.T) {
	for _, row := range vectors(t, "ssrf-addresses.tsv") {
		form, text, expect, why := row[0], row[1], row[2], row[3]
		want := expect == "allow-if-granted"
		url := "https://" + text
		switch form {
		case "scheme":
			url = text
		case "dns", "redirect", "suffix":
			continue // see TestRebinding, TestRedirects; a back end has one host, which nothing is compared with
		case "obfuscated":
			if text == "sub.localhost" {
				continue // a name like any other, judged by where it leads
			}
		}
		_, err := egress.New(egress.Config{Name: "x", URL: url})
		if got := err == nil; got != want {
			t.Errorf("%s: accepted %v (%v), want %v: %s", url, got, err, want, why)
		}
	}
}

func TestNewRefusesURLs(t *testing.T) {
	for name, url := range map[string]string{
		"empty": "", "no scheme": "crm.example", "plain HTTP": "http://crm.example", "ftp": "ftp://crm.example", "file": "file:///etc/passwd", "opaque": "https:crm.example",
		"user": "https://u:p@crm.example", "empty user": "https://@crm.example", "query": "https://crm.example/?q", "bare question mark": "https://crm.example/?", "fragment": "https://crm.example/#f", "bare number sign": "https://crm.example/#",
		"no host": "https:///x", "space": "https://crm.example /x", "line end": "https://crm.example\r\n", "backslash": `https://crm.example\@evil.example`,
		"underscore": "https://crm_a.example", "trailing dot": "https://crm.example.", "raw IDN": "https://bücher.example", "full-width dot": "https://127。0。0。1",
		"long label": "https://" + strings.Repeat("a", 64) + ".example", "wildcard": "https://*.example", "escape": "https://crm%2eexample",
		"number": "https://2130706433", "hex": "https://0x7f000001", "octal": "https://0177.0.0.1", "short": "https://127.1", "number at the end": "https://crm.1", "hex at the end": "https://crm.0x1",
		"long IPv6": "https://[0:0:0:0:0:0:0:1]", "zone": "https://[fe80::1%25eth0]", "mapped": "https://[::ffff:10.0.0.1]",
		"port 0": "https://crm.example:0", "large port": "https://crm.example:65536", "padded port": "https://crm.example:0443", "no port": "https://crm.example:",
		"dots in the path": "https://crm.example/a/../b", "encoded slash": "https://crm.example/a%2fb", "two slashes": "https://crm.example//a",
		"loopback": "https://127.0.0.1", "private": "https://10.0.0.1", "metadata": "https://169.254.169.254",
	} {
		if _, err := egress.New(egress.Config{Name: "x", URL: url}); err == nil {
			t.Errorf("%s: %q accepted, want a refusal", name, url)
		}
	}
	for _, url := range []string{"https://crm.example", "https://CRM.example:8443/", "https://crm.example/api/v2", "https://xn--bcher-kva.example", "https://1.1.1.1", "https://[2606:4700::1111]:8443"} {
		if _, err := egress.New(egress.Config{Name: "x", URL: url}); err != nil {
			t.Errorf("%s: %v, want it accepted", url, err)
		}
	}
}

func TestJudge(t *testing.T) {
	nets := func(texts ...string) (p []netip.Prefix) {
		for _, s := range texts {
			p = append(p, netip.MustParsePrefix(s))
		}
		return p
	}
	everything := nets("0.0.0.0/0", "::/0")
	tests := []struct {
		name, addr string
		private    []netip.Prefix
		want       bool
	}{
		{"private, not listed", "10.1.2.3", nil, false},
		{"private, another listed", "10.1.2.3", nets("10.2.0.0/16"), false},
		{"mapped private, not listed", "::ffff:10.1.2.3", nil, false},
		{"unique local, not listed", "fd12::1", nil, false},
		{"metadata, all listed", "169.254.169.254", everything, false},
		{"metadata mapped, all listed", "::ffff:169.254.169.254", everything, false},
		{"metadata of ECS, all listed", "169.254.170.2", everything, false},
		{"metadata of Alibaba, all listed", "100.100.100.200", everything, false},
		{"metadata of Azure, all listed", "168.63.129.16", everything, false},
		{"metadata of AWS by IPv6, all listed", "fd00:ec2::254", everything, false},
		{"metadata of GCP by IPv6, all listed", "fd20:ce::254", everything, false},
		{"metadata by NAT64, all listed", "64:ff9b::a9fe:a9fe", everything, false},
		{"metadata by 6to4, all listed", "2002:a9fe:a9fe::1", everything, false},
		{"Teredo, all listed", "2001:0:7f00:1::1", everything, false},
		{"local NAT64, all listed", "64:ff9b:1::a00:1", everything, false},
		{"IPv4-compatible, all listed", "::10.0.0.1", everything, false},
		{"unspecified, all listed", "0.0.0.0", everything, false},
		{"unspecified by IPv6, all listed", "::", everything, false},
		{"multicast, all listed", "224.0.0.1", everything, false},
		{"link local with a zone, all listed", "fe80::1%eth0", everything, false},
		{"loopback by NAT64, only NAT64 listed", "64:ff9b::7f00:1", nets("64:ff9b::/96"), false},
		{"public by NAT64, not listed", "64:ff9b::101:101", nil, false},
		{"public by NAT64, listed", "64:ff9b::101:101", nets("64:ff9b::/96"), true},
		{"private, listed", "10.1.2.3", nets("10.1.0.0/16"), true},
		{"mapped private, listed", "::ffff:10.1.2.3", nets("10.1.0.0/16"), true},
		{"unique local, listed", "fd12::1", nets("fd12::/64"), true},
		{"loopback, listed", "127.0.0.1", loopback, true},
		{"loopback by IPv6, listed", "::1", loopback, true},
		{"public", "1.1.1.1", nil, true},
		{"public IPv6", "2606:4700::1111", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := egress.Judge(netip.MustParseAddr(tt.addr), tt.private...)
			if got := err == nil; got != tt.want {
				t.Errorf("allowed %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

func TestNewRefusesNetworks(t *testing.T) {
	for _, p := range []netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("10.1.2.3"), 8), netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 104)} {
		if _, err := egress.New(egress.Config{Name: "x", URL: "https://crm.example", Private: []netip.Prefix{p}}); err == nil {
			t.Errorf("%v accepted, want a refusal", p)
		}
	}
}

// TestJudgeSeesThroughMapping: an IPv4 address is judged alike in every clothing.
func TestJudgeSeesThroughMapping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")
		plain := netip.AddrFrom4([4]byte(b))
		mapped := netip.AddrFrom16(plain.As16())
		if (egress.Judge(plain) == nil) != (egress.Judge(mapped) == nil) {
			t.Errorf("%v and %v are judged differently", plain, mapped)
		}
		nat := netip.MustParseAddr("64:ff9b::").As16()
		copy(nat[12:], b)
		if egress.Judge(netip.AddrFrom16(nat), netip.MustParsePrefix("64:ff9b::/96")) == nil && egress.Judge(plain) != nil {
			t.Errorf("%v is reached by NAT64", plain)
		}
	})
}

func TestPrivateAddressIsNotDialled(t *testing.T) {
	var dialled atomic.Int32
	addr := rawServer(t, func(c net.Conn, _ string) { dialled.Add(1) })
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	b := backend(t, addr, func(c *egress.Config) {
		c.URL, c.Private, c.Resolver = "http://crm.example:"+port, nil, answers(func(int32) string { return "127.0.0.1" })
	})
	_, err = get(t, b)
	wantKind(t, err, broker.Denied, "crm.example")
	if dialled.Load() > 0 {
		t.Error("the private address was dialled")
	}
}

// TestRebinding has a resolver that answers an address that may be dialled when it is first
// asked, and loopback from then on.
func TestRebinding(t *testing.T) {
	var dialled, asked atomic.Int32
	addr := rawServer(t, func(c net.Conn, _ string) { dialled.Add(1) })
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	b := backend(t, addr, func(c *egress.Config) {
		c.URL = "http://crm.example:" + port
		c.Private = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")} // where nobody listens
		c.Resolver = answers(func(n int32) string {
			asked.Store(n)
			if n == 1 {
				return "127.0.0.2"
			}
			return "127.0.0.1"
		})
	})
	_, err = get(t, b)
	wantKind(t, err, broker.Upstream) // the first answer was allowed, and refused the connection
	_, err = get(t, b)
	wantKind(t, err, broker.Denied)
	if asked.Load() < 2 {
		t.Errorf("the resolver was asked %d times, want it asked for each connection", asked.Load())
	}
	if dialled.Load() > 0 {
		t.Error("the rebound address was dialled")
	}
}

// answers returns a resolver that answers every A question with what address returns for
// it. The number counts them from 1.
func answers(address func(n int32) string) *net.Resolver {
	var count atomic.Int32
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go answerDNS(far, &count, address)
		return near, nil
	}}
}

// answerDNS serves one question in DNS's framing for streams, which is what Go's resolver
// uses on a connection that is not packet-oriented.
func answerDNS(c net.Conn, count *atomic.Int32, address func(int32) string) {
	defer c.Close()
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	if err != nil {
		return
	}
	var q dnsmessage.Message
	if q.Unpack(buf[2:n]) != nil || len(q.Questions) == 0 {
		return
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RecursionAvailable: true}, Questions: q.Questions[:1]}
	if q.Questions[0].Type == dnsmessage.TypeA {
		ip := netip.MustParseAddr(address(count.Add(1))).As4()
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 0}, Body: &dnsmessage.AResource{A: ip}}}
	}
	text, err := m.Pack()
	if err != nil {
		return
	}
	_, _ = c.Write(append([]byte{byte(len(text) >> 8), byte(len(text))}, text...))
}
