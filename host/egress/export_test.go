package egress

import "net/netip"

// Redact runs the redactor for one credential over text.
func Redact(credential, text []byte) (result []byte, clean bool) {
	return newRedactor([][]byte{credential}).redact(text)
}

// Judge asks the dial guard about one address.
func Judge(addr netip.Addr, private ...netip.Prefix) error {
	g, err := newGuard(private)
	if err != nil {
		return err
	}
	return g.judge(addr)
}
