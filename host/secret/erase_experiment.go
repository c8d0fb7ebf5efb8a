//go:build goexperiment.runtimesecret

package secret

import runtimesecret "runtime/secret"

// erased runs f, and wipes the registers, the stack and, once unreachable, the heap that f
// used. What f starts in other goroutines is not covered.
func erased(f func()) { runtimesecret.Do(f) }
