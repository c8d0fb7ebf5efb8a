//go:build !goexperiment.runtimesecret

package secret

// erased runs f. Built with GOEXPERIMENT=runtimesecret it also wipes the registers, the
// stack and, once unreachable, the heap that f used.
func erased(f func()) { f() }
