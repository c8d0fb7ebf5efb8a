//go:build !wasip1

package pdk

// Host is what a plugin can ask for during one call. In a test, pdktest makes it.
type Host struct{ fake Fake }

// Fake stands in for the host where plugin code runs as a native test. It gets the very
// bytes that a module would hand to pointsman:<capability>.<op>, and answers a reply as
// drawn in package wire.
type Fake interface {
	Call(capability, op string, request []byte) (reply []byte)
}

// NewHost returns a Host whose powers are those of fake. It exists in native builds only.
func NewHost(fake Fake) *Host { return &Host{fake: fake} }

// Serve answers one call when the plugin runs as a module. A native build has no host to
// answer to: test the method itself, or its Handler.
func Serve[In, Out any](func(*Host, In) (Out, error)) int32 {
	panic("pdk: Serve works in a module built for wasip1 only")
}
