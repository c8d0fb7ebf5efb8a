// Command go is the plugin of testdata/guests in standard Go, against Extism's interface
// alone.
package main

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u8
func inputByte(at uint64) uint32

//go:wasmimport extism:host/env input_load_u64
func inputWord(at uint64) uint64

//go:wasmimport extism:host/env alloc
func alloc(n uint64) uint64

//go:wasmimport extism:host/env free
func free(block uint64)

//go:wasmimport extism:host/env length
func length(block uint64) uint64

//go:wasmimport extism:host/env load_u8
func loadByte(at uint64) uint32

//go:wasmimport extism:host/env store_u8
func storeByte(at uint64, b uint32)

//go:wasmimport extism:host/env output_set
func outputSet(block, n uint64)

//go:wasmimport extism:host/env error_set
func errorSet(block uint64)

//go:wasmimport extism:host/env config_get
func configGet(name uint64) uint64

//go:wasmimport extism:host/env var_get
func varGet(name uint64) uint64

//go:wasmimport extism:host/env var_set
func varSet(name, value uint64)

//go:wasmimport extism:host/env log_info
func logInfo(block uint64)

//go:wasmimport extism:host/env http_request
func httpRequest(request, body uint64) uint64

//go:wasmimport extism:host/env http_status_code
func httpStatusCode() int32

//go:wasmimport extism:host/env http_headers
func httpHeaders() uint64

func main() {}

func input() []byte {
	n := inputLength()
	b := make([]byte, 0, n)
	for ; uint64(len(b))+8 <= n; b = binary.LittleEndian.AppendUint64(b, inputWord(uint64(len(b)))) {
	}
	for ; uint64(len(b)) < n; b = append(b, byte(inputByte(uint64(len(b))))) {
	}
	return b
}

func block(b []byte) uint64 {
	at := alloc(uint64(len(b)))
	for i, c := range b {
		storeByte(at+uint64(i), uint32(c))
	}
	return at
}

func text(s string) uint64 { return block([]byte(s)) }

// take reads a block and frees it.
func take(at uint64) string {
	b := make([]byte, length(at))
	for i := range b {
		b[i] = byte(loadByte(at + uint64(i)))
	}
	free(at)
	return string(b)
}

func answer(s string) int32 {
	outputSet(text(s), uint64(len(s)))
	return 0
}

//go:wasmexport echo
func echo() int32 { return answer(string(input())) }

var calls int

//go:wasmexport count
func count() int32 {
	calls++
	old, _ := strconv.Atoi(take(varGet(text("n"))))
	varSet(text("n"), text(strconv.Itoa(old+calls)))
	return answer(take(varGet(text("n"))))
}

//go:wasmexport config
func config() int32 {
	value := configGet(text("greeting"))
	if value == 0 {
		return answer("null")
	}
	return answer(take(value))
}

//go:wasmexport log
func log() int32 {
	logInfo(block(input()))
	return answer("true")
}

//go:wasmexport fail
func fail() int32 {
	errorSet(block(input()))
	return 1
}

//go:wasmexport trap
func trap() int32 { panic("as asked") }

//go:wasmexport fetch
func fetch() int32 {
	body := take(httpRequest(block(input()), 0))
	return answer(fmt.Sprintf(`{"status":%d,"headers":%s,"body":%s}`, httpStatusCode(), take(httpHeaders()), body))
}
