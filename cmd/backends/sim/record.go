package sim

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// kind is the type of a field, as far as comparing and rendering need it.
type kind uint8

const (
	text kind = iota
	boolean
	number
	date     // text is "2006-01-02"
	datetime // text is in the vendor's own form, which sorts as text
	compound // a JSON object; cannot be compared
)

// field is a column of a vendor's table.
type field struct {
	name string
	kind kind
	key  string // the name as a JSON object key with its colon, ready to be written
}

// table is the fixed set of fields that every record of one vendor has.
type table struct {
	fields []field
	index  map[string]int // name, as it is and in lower case, to position
}

// newTable makes a table from "name" or "name:kind" lines; a kind is b, n, d, t or c, and text without one.
func newTable(columns string) *table {
	kinds := map[string]kind{"": text, "b": boolean, "n": number, "d": date, "t": datetime, "c": compound}
	t := &table{index: make(map[string]int)}
	for _, column := range strings.Fields(columns) {
		name, k, _ := strings.Cut(column, ":")
		t.index[name] = len(t.fields)
		t.index[strings.ToLower(name)] = len(t.fields)
		t.fields = append(t.fields, field{name: name, kind: kinds[k], key: quote(name) + ":"})
	}
	return t
}

// find returns the position of the field of that name, in any case.
func (t *table) find(name string) (int, bool) {
	i, ok := t.index[name]
	if !ok {
		i, ok = t.index[strings.ToLower(name)]
	}
	return i, ok
}

func (t *table) names() []string {
	names := make([]string, len(t.fields))
	for i, f := range t.fields {
		names[i] = f.name
	}
	return names
}

// value is one field of one record. The zero value is null.
type value struct {
	json string // the JSON text; empty for null
	text string // the plain text, for comparing
	fold string // text in lower case; both vendors compare text without regard to case
}

func (v value) null() bool { return v.json == "" }

// record has the values of one record in the order of its table.
type record struct {
	id     string
	values []value
	full   string // every field as `"name":value,…` without braces, rendered once
}

// draft is a record being filled in by name.
type draft struct {
	table  *table
	values []value
	quoted bool // HubSpot sends every value as a JSON string
}

func newDraft(t *table, quoted bool) *draft {
	return &draft{table: t, values: make([]value, len(t.fields)), quoted: quoted}
}

// set gives a field its text; the empty text is null, as no vendor here stores empty strings.
func (d *draft) set(name, s string) {
	i, ok := d.table.find(name)
	if !ok {
		panic("sim: no field " + name) // names are constants of this package
	}
	if s == "" {
		d.values[i] = value{}
		return
	}
	v := value{json: s, text: s, fold: strings.ToLower(s)}
	if k := d.table.fields[i].kind; d.quoted || k == text || k == date || k == datetime {
		v.json = quote(s)
	}
	d.values[i] = v
}

func (d *draft) setInt(name string, n int) { d.set(name, strconv.Itoa(n)) }

func (d *draft) setBool(name string, b bool) { d.set(name, strconv.FormatBool(b)) }

// done renders the record. Null fields are part of the full rendering.
func (d *draft) done(id string) *record {
	all := make([]int, len(d.values))
	for i := range all {
		all[i] = i
	}
	r := &record{id: id, values: slices.Clone(d.values)}
	r.full = string(appendFields(nil, d.table, r, all))
	return r
}

// appendFields appends `"name":value,…` for the fields at the given positions.
func appendFields(dst []byte, t *table, r *record, columns []int) []byte {
	for i, c := range columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, t.fields[c].key...)
		if v := r.values[c]; v.null() {
			dst = append(dst, "null"...)
		} else {
			dst = append(dst, v.json...)
		}
	}
	return dst
}

// quote returns s as a JSON string, without the escapes for HTML that encoding/json adds and the vendors do not.
func quote(s string) string {
	b, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD")) // the only error is invalid UTF-8
	return string(b)
}

// lookup is an index from the lower-case text of a field to the positions of the records that have it.
type lookup map[string][]int

func newLookup(t *table, records []*record, name string) lookup {
	column, _ := t.find(name)
	l := make(lookup, len(records))
	for i, r := range records {
		if v := r.values[column]; !v.null() {
			l[v.fold] = append(l[v.fold], i)
		}
	}
	return l
}
