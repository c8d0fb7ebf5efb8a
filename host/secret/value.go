// Package secret owns sealed values: bytes that lie encrypted on disk, open only with the
// keyring, and print as [secret] wherever they end up by mistake.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[secret]"

// Value is an opened secret. It prints as [secret] under every verb of fmt, in
// encoding/json and in log/slog. The bytes sit behind a closure, because fmt reads through
// the unexported fields of structs that hold a Value; there it prints an address.
// The zero Value is empty. Values are immutable and safe for concurrent use.
//
// Between two uses no plaintext lies in Go's heap: a sealed value is decrypted by each
// Expose, one that has no ciphertext lies in a page of its own (see Take).
type Value struct {
	open   func() []byte   // a copy that the caller owns
	former func() [][]byte // copies that the caller owns; nil: there are none
}

// Take returns a Value of plain, which it takes over and wipes. The bytes move out of Go's
// heap, into memory that is neither swapped nor dumped where the system allows that, and
// are wiped there when the last Value that holds them is gone.
//
// It is for providers; nothing else makes values.
func Take(plain []byte) Value { return Value{open: hold(plain).copy} }

// Replacing returns v as a value that replaced former, which its Former returns.
func (v Value) Replacing(former ...Value) Value {
	if len(former) == 0 {
		return v
	}
	v.former = func() [][]byte {
		all := make([][]byte, len(former))
		for i, f := range former {
			all[i] = f.Expose()
		}
		return all
	}
	return v
}

// Expose returns a copy of the bytes. It is the one way to them: whoever calls it is
// answerable for where they go. Wipe the result after use (clear) and do not convert it to
// a string that outlives the use.
func (v Value) Expose() []byte {
	if v.open == nil {
		return nil
	}
	return v.open()
}

// Former returns copies of the values that this one replaced a short while ago: they may
// still be in what a back end says, and are to be taken out of it like the value itself.
// Wipe them after use. They are never to be sent.
func (v Value) Former() [][]byte {
	if v.former == nil {
		return nil
	}
	return v.former()
}

// Format implements fmt.Formatter.
func (Value) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, redacted) // fmt ignores what a Formatter's writes return
}

// String implements fmt.Stringer, for callers that do not go through fmt.
func (Value) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Value) GoString() string { return redacted }

// MarshalText implements encoding.TextMarshaler, which JSON, XML and YAML use.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }
