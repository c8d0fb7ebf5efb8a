package sqldb

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
)

// Result is what a statement answered.
type Result struct {
	// Rows is a JSON array of objects, one for each row, with the columns in their order.
	Rows      []byte
	Count     int   // of rows
	Truncated bool  // there were more rows than the statement's limit
	Affected  int64 // rows that a writing statement changed; 0 of one that reads
}

// result is written while rows come in, within the limits.
type result struct {
	limits    Limits
	rows      int // at most
	keys      [][]byte
	text      []byte
	count     int
	truncated bool
	affected  int64
	cell      int // where the value being written begins
}

// errFull ends the reading of rows; it is no failure.
var errFull = fmt.Errorf("enough rows")

// columns takes the names. A name that comes twice is refused: one of the two would be lost.
func (r *result) columns(names []string) error {
	seen := make(map[string]bool, len(names))
	r.keys = make([][]byte, len(names))
	for i, name := range names {
		key, err := jsontext.AppendQuote(nil, name)
		if err != nil {
			return refused("a column's name is not UTF-8", nil)
		}
		if seen[name] {
			return refused("two columns of the result have one name; give them names with AS", nil)
		}
		seen[name] = true
		r.keys[i] = append(key, ':')
	}
	return nil
}

// begin starts a row, or returns errFull.
func (r *result) begin() error {
	if r.count == r.rows {
		r.truncated = true
		return errFull
	}
	if r.count > 0 {
		r.text = append(r.text, ',')
	}
	r.count++
	r.text = append(r.text, '{')
	return nil
}

// key starts the value of column i.
func (r *result) key(i int) {
	if i > 0 {
		r.text = append(r.text, ',')
	}
	r.text = append(r.text, r.keys[i]...)
	r.cell = len(r.text)
}

// fits is asked before a value of n bytes is written: JSON needs at least as many.
func (r *result) fits(n int) error {
	if int64(n) > r.limits.Cell {
		return &broker.Error{Kind: broker.Upstream, Detail: fmt.Sprintf("a value of the result is larger than %d bytes", r.limits.Cell)}
	}
	if int64(len(r.text)+n) > r.limits.Bytes {
		return &broker.Error{Kind: broker.Upstream, Detail: fmt.Sprintf("the result is larger than %d bytes", r.limits.Bytes)}
	}
	return nil
}

// done ends a value.
func (r *result) done() error { return r.fits(len(r.text) - r.cell) }

func (r *result) end() { r.text = append(r.text, '}') }

func (r *result) null()           { r.text = append(r.text, "null"...) }
func (r *result) boolean(b bool)  { r.text = strconv.AppendBool(r.text, b) }
func (r *result) integer(n int64) { r.text = strconv.AppendInt(r.text, n, 10) }

// float writes f with the fewest digits that are f again. What JSON has no number for
// becomes a string, which no number can be taken for.
func (r *result) float(f float64, bits int) {
	switch {
	case math.IsNaN(f):
		r.text = append(r.text, `"NaN"`...)
	case math.IsInf(f, 1):
		r.text = append(r.text, `"Infinity"`...)
	case math.IsInf(f, -1):
		r.text = append(r.text, `"-Infinity"`...)
	default:
		r.text = strconv.AppendFloat(r.text, f, 'g', -1, bits)
	}
}

// number writes text, a number as the database has it. NaN and the infinities, which JSON
// lacks, and what else is no JSON number become strings.
func (r *result) number(text []byte) error {
	if jsontext.Value(text).Kind() == '0' && jsontext.Value(text).IsValid() {
		r.text = append(r.text, text...)
		return nil
	}
	return r.string(text)
}

func (r *result) string(text []byte) error {
	if err := r.fits(len(text)); err != nil {
		return err
	}
	if !utf8.Valid(text) {
		return refused("a value of the result is not UTF-8", nil)
	}
	quoted, err := jsontext.AppendQuote(r.text, text)
	if err != nil {
		return refused("a value of the result is not UTF-8", err)
	}
	r.text = quoted
	return nil
}

func (r *result) bytes(b []byte) error {
	if err := r.fits(base64.StdEncoding.EncodedLen(len(b))); err != nil {
		return err
	}
	r.text = append(r.text, '"')
	r.text = base64.StdEncoding.AppendEncode(r.text, b)
	r.text = append(r.text, '"')
	return nil
}

// json writes text if it is strict JSON: no name twice, valid UTF-8, not too deep.
func (r *result) json(text []byte) error {
	if err := r.fits(len(text)); err != nil {
		return err
	}
	if !jsontext.Value(text).IsValid() || tooDeep(text) {
		return refused("a column holds JSON that two programs would read in two ways", nil)
	}
	r.text = append(r.text, text...)
	return nil
}

// maxDepth is how deep JSON in a column may be nested, of the 64 levels of SECURITY-RULES
// §2.6: the result puts it four levels deep.
const maxDepth = 60

func tooDeep(text []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

// refused is the error for a result that cannot be handed over as it is.
func refused(why string, err error) *broker.Error {
	return &broker.Error{Kind: broker.Upstream, Detail: why, Err: err}
}
