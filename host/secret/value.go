// Package secret owns sealed values: bytes that lie encrypted on disk, open only with the
// keyring, and print as [secret] wherever they end up by mistake.
package secret

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[secret]"

// Value is an opened secret. It prints as [secret] under every verb of fmt, in
// encoding/json and in log/slog. The bytes sit behind a closure, because fmt reads through
// the unexported fields of structs that hold a Value; there it prints an address.
// The zero Value is empty. Values are immutable and safe for concurrent use.
type Value struct{ open func() []byte }

// newValue returns a Value of a copy of plain.
func newValue(plain []byte) Value {
	plain = bytes.Clone(plain)
	return Value{open: func() []byte { return plain }}
}

// Expose returns a copy of the bytes. It is the one way to them: whoever calls it is
// answerable for where they go. Do not keep the result and do not convert it to a string
// that outlives the use.
func (v Value) Expose() []byte {
	if v.open == nil {
		return nil
	}
	return bytes.Clone(v.open())
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
