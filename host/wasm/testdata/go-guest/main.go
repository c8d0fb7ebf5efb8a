// Command go-guest is what the standard Go toolchain makes of a plugin: a reactor with
// exports that use the parts of the library that plugins use.
package main

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
)

func main() {}

type node struct {
	Name  string         `json:"name"`
	Value float64        `json:"value"`
	Tags  []string       `json:"tags,omitempty"`
	Inner *node          `json:"inner,omitempty"`
	Extra map[string]any `json:"extra,omitempty"`
}

// nest returns a document of the given depth.
func nest(depth int32) *node {
	n := &node{Name: "leaf", Value: 1.5}
	for i := range depth {
		n = &node{Name: strings.Repeat("n", int(i%7)), Value: float64(i) / 3, Tags: []string{"a", "b"}, Inner: n,
			Extra: map[string]any{"x": i, "y": []int32{i, i + 1}}}
	}
	return n
}

func sum(b []byte) int64 {
	h := fnv.New64a()
	h.Write(b)
	return int64(h.Sum64())
}

// document encodes a document of the given depth, decodes it twice and returns a hash.
//
//go:wasmexport document
func document(depth int32) int64 {
	text, err := json.Marshal(nest(depth))
	if err != nil {
		return -1
	}
	var typed node
	var loose any
	if json.Unmarshal(text, &typed) != nil || json.Unmarshal(text, &loose) != nil {
		return -2
	}
	if !reflect.DeepEqual(typed.Name, loose.(map[string]any)["name"]) {
		return -3
	}
	again, err := json.Marshal(loose)
	if err != nil {
		return -4
	}
	return sum(again) ^ sum(text)
}

// order sorts n numbers.
//
//go:wasmexport order
func order(n int32) int64 {
	numbers := make([]uint32, n)
	x := uint32(2463534242)
	for i := range numbers {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		numbers[i] = x
	}
	slices.Sort(numbers)
	var b bytes.Buffer
	for _, v := range numbers {
		b.WriteByte(byte(v >> 24))
	}
	return sum(b.Bytes())
}

// talk passes n numbers between goroutines.
//
//go:wasmexport talk
func talk(n int32) int64 {
	in, out := make(chan int32), make(chan int64, 3)
	for range 3 {
		go func() {
			var t int64
			for v := range in {
				t += int64(v) * int64(v)
			}
			out <- t
		}()
	}
	for i := range n {
		in <- i
	}
	close(in)
	return <-out + <-out + <-out
}

// recurse calls itself n deep.
//
//go:wasmexport recurse
func recurse(n int32) int64 {
	if n == 0 {
		return 1
	}
	return recurse(n-1)*3 + int64(n)
}

// garbage makes n MiB of it.
//
//go:wasmexport garbage
func garbage(n int32) int64 {
	var kept [4][]byte
	var t int64
	for i := range n * 16 {
		b := make([]byte, 64<<10)
		b[i] = byte(i)
		kept[i%4] = b
		t += int64(len(kept[(i+1)%4]))
	}
	return t
}
