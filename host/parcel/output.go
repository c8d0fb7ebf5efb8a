package parcel

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"pointsman/host/broker"
	"pointsman/host/view"
)

// Output is the output of the call: a text, which must be one strict JSON document and which
// nobody changes any more, with the documents of the parcels that stand in it as
// {"$parcel": number}, and no other member. Whatever else is in it carries seen. Without a table
// there are no parcels in it. memo remembers what is known of outputs; nil remembers nothing.
func (t *Table) Output(text []byte, seen broker.Labels, memo *Memo) (*Parcel, error) {
	v, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if t == nil || !bytes.Contains(text, []byte(handleName)) {
		return Of(v, memo.Facts(seeing(seen.String()), nil, func([]Facts) Facts {
			return Facts{Labels: view.LabelAll(seen)}
		})), nil
	}
	holes, err := findHoles(text)
	if err != nil {
		return nil, err
	}
	from := make([]*Parcel, len(holes))
	for i, h := range holes {
		if from[i], err = t.Get(h.handle); err != nil {
			return nil, err
		}
	}
	if len(holes) == 1 && holes[0].whole(text) {
		return With(from[0], memo.Facts(seeing(seen.String()), []Facts{from[0].facts}, func(of []Facts) Facts {
			return Facts{Labels: view.LabelAll(seen).Union(of[0].Labels)}
		})), nil
	}
	facts := Facts{Labels: view.LabelAll(seen)}
	for _, p := range from {
		facts.Labels = facts.Labels.Union(view.LabelAll(p.facts.Labels.All()))
	}
	p := Made(facts, func() (Value, error) { return fill(text, holes, from) }, from...)
	p.made = &t.made
	return p, nil
}

// seeing is the operation that lets an output out of a call that has seen labels: their names.
type seeing string

// handleName is the one member of an object that stands for a parcel.
const handleName = `"$parcel"`

// hole is where in a text a parcel stands.
type hole struct {
	from, to int
	handle   Handle
}

// whole reports whether there is nothing else in the text.
func (h hole) whole(text []byte) bool {
	return len(bytes.TrimSpace(text[:h.from])) == 0 && len(bytes.TrimSpace(text[h.to:])) == 0
}

var errHole = errors.New(`"$parcel" is the one member of an object that stands for a parcel, with its number`)

// findHoles finds where parcels stand in a valid text, in order.
func findHoles(text []byte) (holes []hole, err error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))
	from := -1 // where the object began whose first name comes next
	for d.PeekKind() != 0 {
		token, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		if token.Kind() == '{' {
			from = int(d.InputOffset()) - 1
			continue
		}
		kind, n := d.StackIndex(d.StackDepth())
		if isName := token.Kind() == '"' && kind == '{' && n%2 == 1; !isName || token.String() != "$parcel" {
			from = -1
			continue
		}
		if from < 0 {
			return nil, errHole
		}
		number, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		h, err := strconv.ParseUint(string(number), 10, handleBits)
		if err != nil || d.PeekKind() != '}' {
			return nil, errHole
		}
		if _, err := d.ReadToken(); err != nil {
			return nil, err
		}
		holes = append(holes, hole{from, int(d.InputOffset()), Handle(h)})
		from = -1
	}
	return holes, nil
}

// fill puts the documents into the text. All of them are there.
func fill(text []byte, holes []hole, from []*Parcel) (Value, error) {
	var out []byte
	at := 0
	for i, h := range holes {
		if len(out)+(h.from-at)+from[i].value.Size() > MaxSize {
			return Value{}, errBudget
		}
		out = from[i].value.Append(append(out, text[at:h.from]...))
		at = h.to
	}
	return Parse(append(out, text[at:]...))
}
