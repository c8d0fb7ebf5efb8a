package egress_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"pointsman/host/egress"
)

// TestDialer: a database is dialled where an HTTP back end would be, and nowhere else.
func TestDialer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, address string
		private       []string
		ok            bool
	}{
		{"not listed", l.Addr().String(), nil, false},
		{"a name, not listed", net.JoinHostPort("localhost", port), nil, false},
		{"others are listed", l.Addr().String(), []string{"10.0.0.0/8"}, false},
		{"metadata, listed", "169.254.169.254:80", []string{"169.254.0.0/16"}, false},
		{"listed", l.Addr().String(), []string{"127.0.0.1/32"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var private []netip.Prefix
			for _, p := range tt.private {
				private = append(private, netip.MustParsePrefix(p))
			}
			dial, err := egress.NewDialer("db", private)
			if err != nil {
				t.Fatal(err)
			}
			c, err := dial(context.Background(), "tcp", tt.address)
			if (err == nil) != tt.ok {
				t.Fatalf("got %v, want ok: %v", err, tt.ok)
			}
			if c != nil {
				c.Close()
			}
		})
	}
	if _, err := egress.NewDialer("db", []netip.Prefix{{}}); err == nil {
		t.Error("a prefix that is none was taken")
	}
}
