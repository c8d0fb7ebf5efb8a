package egress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"code.dny.dev/ssrf"
)

// errAddress marks an address that must not be dialled.
var errAddress = errors.New("address is not allowed")

// guard judges the addresses that connections are made to. It sits where the socket is
// connected, after name resolution, so the address that was judged is the one that is
// dialled, whatever a resolver says the next time.
type guard struct {
	private []netip.Prefix
	special *ssrf.Guardian
}

func newGuard(private []netip.Prefix) (*guard, error) {
	var v4, v6 []netip.Prefix
	for _, p := range private {
		switch {
		case !p.IsValid() || p.Addr().Zone() != "" || p.Addr().Is4In6() || p != p.Masked():
			return nil, fmt.Errorf("private: %v is not a network; write an address as a network of one, such as 10.1.2.3/32", p)
		case p.Addr().Is4():
			v4 = append(v4, p)
		default:
			v6 = append(v6, p)
		}
	}
	return &guard{
		private: private,
		special: ssrf.New(ssrf.WithNetworks("tcp4", "tcp6"), ssrf.WithAnyPort(),
			ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)),
	}, nil
}

// control is a net.Dialer's ControlContext.
func (g *guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("network %s: %w", network, errAddress)
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddress
	}
	return g.judge(ap.Addr())
}

// judge returns an error for an address that must not be dialled.
func (g *guard) judge(addr netip.Addr) error {
	if addr.Zone() != "" {
		return fmt.Errorf("%w: it has a zone", errAddress)
	}
	addr = addr.Unmap()
	for _, p := range never {
		if p.Contains(addr) && addr != netip.IPv6Loopback() {
			return fmt.Errorf("%w: %v belongs to %v, which nothing can allow", errAddress, addr, p)
		}
	}
	if nat64.Contains(addr) { // RFC 6052: the last four bytes are where it leads
		b := addr.As16()
		if err := g.judge(netip.AddrFrom4([4]byte(b[12:]))); err != nil {
			return err
		}
	}
	if err := g.special.SafeAddr(addr); err != nil {
		return fmt.Errorf("%w: %v is not on the public internet; list it under private if it is meant", errAddress, addr)
	}
	return nil
}

// nat64 is the well-known prefix; in a network with IPv6 only, an admin lists it.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// never are networks that a back end cannot be in, even if the admin lists one that
// contains them: metadata services hand credentials to whoever asks, and tunnels
// lead to an address that is not the one to be seen.
var never = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),          // "this network"; Linux connects 0.0.0.0 to loopback
	netip.MustParsePrefix("169.254.0.0/16"),     // link local: metadata of AWS, GCP, Azure, Oracle, DigitalOcean, ECS
	netip.MustParsePrefix("100.100.100.200/32"), // metadata of Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure's wire server
	netip.MustParsePrefix("192.0.0.192/32"),     // metadata of Oracle Cloud Classic
	netip.MustParsePrefix("224.0.0.0/4"),        // multicast
	netip.MustParsePrefix("255.255.255.255/32"), // broadcast
	netip.MustParsePrefix("::/96"),              // unspecified, and IPv4-compatible; ::1 is left to the admin
	netip.MustParsePrefix("::ffff:0:0:0/96"),    // IPv4-translated, RFC 2765
	netip.MustParsePrefix("64:ff9b:1::/48"),     // local-use NAT64, RFC 8215: where the IPv4 address lies is the network's choice
	netip.MustParsePrefix("2001::/32"),          // Teredo
	netip.MustParsePrefix("2002::/16"),          // 6to4
	netip.MustParsePrefix("fd00:ec2::/32"),      // metadata of AWS
	netip.MustParsePrefix("fd20:ce::254/128"),   // metadata of GCP
	netip.MustParsePrefix("fe80::/10"),          // link local
	netip.MustParsePrefix("fec0::/10"),          // site local, RFC 3879
	netip.MustParsePrefix("ff00::/8"),           // multicast
}
