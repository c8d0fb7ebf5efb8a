package sandbox_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"pointsman/host/sandbox"
)

// attack is a module of 2.7 MB that takes the compiler some 20 s of processor time and
// becomes 300 MB of machine code.
func attack() []byte { return slowModule(600, 32, 500) }

// slowModule is valid, within every limit of host/wasm, and takes the compiler long: so
// many functions of nested loops that carry many locals.
func slowModule(functions, nesting, locals int) []byte {
	code := uleb(1)                                    // one group of locals
	code = append(append(code, uleb(locals)...), 0x7f) // i32
	for range nesting {
		code = append(code, 0x03, 0x40) // loop
	}
	for i := range locals {
		next := uleb((i + 1) % locals)
		code = slices.Concat(code, []byte{0x20}, next, []byte{0x41, 0x01, 0x6a, 0x21}, uleb(i)) // local.get, i32.const 1, i32.add, local.set
	}
	for i := range nesting {
		code = slices.Concat(code, []byte{0x20}, uleb(i%locals), []byte{0x0d, 0x00, 0x0b}) // local.get, br_if 0, end
	}
	code = append(code, 0x0b)

	types := []byte{1, 0x60, 0, 0}
	declared, bodies := uleb(functions), uleb(functions)
	for range functions {
		declared = append(declared, 0)
		bodies = append(append(bodies, uleb(len(code))...), code...)
	}
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00"), section(1, types), section(3, declared), section(10, bodies))
}

func section(id byte, content []byte) []byte {
	return slices.Concat([]byte{id}, uleb(len(content)), content)
}

func uleb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// compileSlowly makes the test binary a process that compiles in a worker for a long
// time, with the folder of its compiler as the next argument.
const compileSlowly = "compile-slowly"

func compileSlowModule(dir string) {
	c, err := sandbox.NewCompiler(sandbox.CompilerOptions{Dir: dir, MAC: macWith("key"), Worker: true})
	if err == nil {
		var e *sandbox.Extism
		if e, err = sandbox.NewExtism(sandbox.ExtismOptions{Compiler: c}); err == nil {
			_, err = e.Compile(context.Background(), attack(), sandbox.Terms{})
		}
	}
	fmt.Println("not killed in time:", err)
	os.Exit(1)
}
