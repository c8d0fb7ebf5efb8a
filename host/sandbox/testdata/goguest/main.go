// The goguest is a plugin in standard Go that uses the Extism ABI and our own door
// without a library between.
package main

import (
	crand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
	"unsafe"
)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u8
func inputByte(uint64) uint32

//go:wasmimport extism:host/env input_load_u64
func inputWord(uint64) uint64

//go:wasmimport extism:host/env alloc
func alloc(uint64) uint64

//go:wasmimport extism:host/env store_u8
func storeByte(uint64, uint32)

//go:wasmimport extism:host/env store_u64
func storeWord(uint64, uint64)

//go:wasmimport extism:host/env output_set
func outputSet(uint64, uint64)

//go:wasmimport extism:host/env error_set
func errorSet(uint64)

//go:wasmimport pointsman:http request
func httpRequest(ptr, n uint64) uint64

//go:wasmimport pointsman:rt reply_read
func replyRead(ptr, n uint64) uint64

func input() []byte {
	b := make([]byte, inputLength())
	n := uint64(len(b))
	i := uint64(0)
	for ; i+8 <= n; i += 8 {
		*(*uint64)(unsafe.Pointer(&b[i])) = inputWord(i)
	}
	for ; i < n; i++ {
		b[i] = byte(inputByte(i))
	}
	return b
}

func put(b []byte) (offset, length uint64) {
	n := uint64(len(b))
	at := alloc(n)
	i := uint64(0)
	for ; i+8 <= n; i += 8 {
		storeWord(at+i, *(*uint64)(unsafe.Pointer(&b[i])))
	}
	for ; i < n; i++ {
		storeByte(at+i, uint32(b[i]))
	}
	return at, n
}

//go:wasmexport echo
func echo() uint32 {
	outputSet(put(input()))
	return 0
}

var calls int

//go:wasmexport report
func report() uint32 {
	calls++
	fmt.Println("to stdout")
	fmt.Fprintln(os.Stderr, "to stderr")
	_, fileErr := os.ReadFile("/etc/passwd")
	done := make(chan int)
	go func() { done <- 42 }()
	var secure [8]byte
	_, _ = crand.Read(secure[:])
	text, err := json.Marshal(map[string]any{
		"secure":    binary.LittleEndian.Uint64(secure[:]),
		"calls":     calls,
		"args":      len(os.Args),
		"env":       len(os.Environ()),
		"year":      time.Now().UTC().Year(),
		"file":      fileErr != nil,
		"random":    rand.Uint64(),
		"goroutine": <-done,
		"elapsed":   int64(time.Since(time.Now())),
	})
	if err != nil {
		return 1
	}
	outputSet(put(text))
	return 0
}

//go:wasmexport http
func http() uint32 {
	request := input()
	n := httpRequest(uint64(uintptr(unsafe.Pointer(unsafe.SliceData(request)))), uint64(len(request)))
	reply := make([]byte, n)
	replyRead(uint64(uintptr(unsafe.Pointer(unsafe.SliceData(reply)))), n)
	outputSet(put(reply))
	return 0
}

//go:wasmexport panics
func panics() uint32 { panic("oh no") }

//go:wasmexport exits
func exits() uint32 { os.Exit(0); return 0 }

//go:wasmexport sleeps
func sleeps() uint32 { time.Sleep(time.Hour); return 0 }

//go:wasmexport spins
func spins() uint32 {
	for i := 0; ; i++ {
		calls += i
	}
}

//go:wasmexport hoards
func hoards() uint32 {
	var all [][]byte
	for {
		all = append(all, make([]byte, 1<<20))
	}
}

//go:wasmexport recurses
func recurses() uint32 { return deeper(0) }

func deeper(n uint32) uint32 { return deeper(n+1) + deeper(n+2) }

//go:wasmexport fails
func fails() uint32 {
	at, _ := put([]byte(`{"code":"permanent","message":"no"}`))
	errorSet(at)
	return 1
}

func main() {}
