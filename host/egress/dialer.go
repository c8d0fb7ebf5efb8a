package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// connectTime is how long one connection that is not a request's may take: as long as a
// request has by default.
const connectTime = 2 * time.Second

// NewDialer returns what makes connections for a back end that does not speak HTTP, such as a
// database. Addresses are judged as for HTTP, when they are dialled: those that are private
// only where private lists them, special ones never. name is the back end's, for errors.
func NewDialer(name string, private []netip.Prefix) (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	guard, err := newGuard(private)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", name, err)
	}
	dialer := newDialer(Config{}, guard, connectTime)
	return dialer.DialContext, nil
}
