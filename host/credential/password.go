package credential

import "context"

// Password returns what asks for the secret of that name whenever a connection is made, so
// that a rotated one is taken up. Its result is the caller's, who wipes it.
func Password(name string, p Parts) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return p.open(name) }
}
