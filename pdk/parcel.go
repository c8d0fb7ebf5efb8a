package pdk

import (
	"encoding/json"
	"strconv"

	"pointsman/pdk/wire"
)

// Parcel is a document that stays on the host: a promise of it. The plugin can select from it,
// build of it, merge it with others and answer with it, without waiting for it and without
// being able to read it. Reading needs a grant whose view shows something of it.
//
// A Parcel is good for one call. In an input it stands where a route hands over what a step
// answered; in an output it stands for the document. The zero Parcel is null.
//
// A parcel whose document could not be had fails, with one of the words of Error, and so does
// everything that is made of it; as an output it is the plugin's failure.
type Parcel struct{ number uint64 }

// Absent reports whether there is no parcel.
func (p Parcel) Absent() bool { return p.number == 0 }

// MarshalJSON implements json.Marshaler.
func (p Parcel) MarshalJSON() ([]byte, error) {
	if p.number == 0 {
		return []byte("null"), nil
	}
	return appendNumber(nil, "$parcel", p.number), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Parcel) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		p.number = 0
		return nil
	}
	n, ok := readNumber(text, "$parcel")
	if !ok {
		return Errorf(Permanent, "a document is no parcel: grants.parcel must be there, and its view must not show the document whole")
	}
	p.number = n
	return nil
}

// Fault says what an answer means that its status does not tell.
type Fault = wire.HTTPFault

// Fetch sends r and returns the body of its answer as a parcel, at once. An answer that is not
// 2xx, or no JSON, is a failure of the parcel: see Reply.Err for its word, unless one of faults
// fits. An error is a refusal.
func (h *Host) Fetch(r Request, faults ...Fault) (Parcel, error) {
	return h.fetch(r, Parcel{}, faults)
}

// FetchSending is Fetch with a parcel as the request's body, which is sent when it is there.
func (h *Host) FetchSending(r Request, body Parcel, faults ...Fault) (Parcel, error) {
	return h.fetch(r, body, faults)
}

func (h *Host) fetch(r Request, body Parcel, faults []Fault) (Parcel, error) {
	return parcelOf(h.httpFetch(framed(r.Body, func(head []byte) []byte { return appendFetch(head, r, body, faults) })))
}

// FetchRows is Query with its answer as a parcel, at once: {"rows": [...], "count": n,
// "truncated": false, "affected": n}.
func (h *Host) FetchRows(s Statement) (Parcel, error) {
	request, err := s.request()
	if err != nil {
		return Parcel{}, err
	}
	return parcelOf(h.sqlFetch(request))
}

// Select returns the value at a path, such as records[0].Email; null where there is none.
func (h *Host) Select(p Parcel, path string) (Parcel, error) {
	request := appendNumber(nil, "parcel", p.number)
	request = appendString(append(request[:len(request)-1], `,"path":`...), path)
	return parcelOf(h.parcelSelect(append(request, '}')))
}

// Template is a JSON document in which values of parcels are put: see docs/PARCELS.md.
type Template string

// Build makes a document of the template with values of p.
func (h *Host) Build(t Template, p Parcel) (Parcel, error) {
	return parcelOf(h.parcelBuild(framed([]byte(t), func(head []byte) []byte {
		return append(appendNumber(append(head, `{"of":`...), "", p.number), '}')
	})))
}

// BuildOf makes a document of the template with values of several parcels, by the names that
// the template has for them.
func (h *Host) BuildOf(t Template, of map[string]Parcel) (Parcel, error) {
	return parcelOf(h.parcelBuild(framed([]byte(t), func(head []byte) []byte {
		head = append(head, `{"of":{`...)
		first := true
		for name, p := range of {
			if !first {
				head = append(head, ',')
			}
			first = false
			head = strconv.AppendUint(append(appendString(head, name), ':'), p.number, 10)
		}
		return append(head, "}}"...)
	})))
}

// Rules say how documents about one thing become one: see docs/PARCELS.md.
type Rules string

// Merge merges documents. The zero Parcels among them are left out.
func (h *Host) Merge(r Rules, parts ...Parcel) (Parcel, error) {
	return parcelOf(h.parcelMerge(framed([]byte(r), func(head []byte) []byte {
		head = append(head, `{"parts":[`...)
		first := true
		for _, p := range parts {
			if p.Absent() {
				continue
			}
			if !first {
				head = append(head, ',')
			}
			first = false
			head = strconv.AppendUint(head, p.number, 10)
		}
		return append(head, "]}"...)
	})))
}

// Edits say what to set, rename and remove: see docs/PARCELS.md.
type Edits string

// Edit makes a document with members of p set, renamed and removed.
func (h *Host) Edit(e Edits, p Parcel) (Parcel, error) {
	return parcelOf(h.parcelEdit(framed([]byte(e), func(head []byte) []byte { return appendNumber(head, "parcel", p.number) })))
}

// Rename makes a document in which the member at a path has another name.
func (h *Host) Rename(p Parcel, path, name string) (Parcel, error) {
	return h.edit(p, map[string]map[string]string{"rename": {path: name}})
}

// Set makes a document with a constant at a path.
func (h *Host) Set(p Parcel, path string, constant any) (Parcel, error) {
	return h.edit(p, map[string]map[string]any{"set": {path: constant}})
}

func (h *Host) edit(p Parcel, edits any) (Parcel, error) {
	text, err := json.Marshal(edits)
	if err != nil {
		return Parcel{}, Errorf(Permanent, "the edits cannot be written as JSON")
	}
	return h.Edit(Edits(text), p)
}

// Read waits for the document and decodes into v what the grants let the plugin read of it.
func (h *Host) Read(p Parcel, v any) error {
	payload, err := h.ask(wire.ParcelNumber{Parcel: p.number}, h.parcelRead)
	if err != nil {
		return err
	}
	if json.Unmarshal(payload, v) != nil {
		return Errorf(Permanent, "the document has another shape")
	}
	return nil
}

// Has waits for the document and reports whether there is something at a path that is not null.
func (h *Host) Has(p Parcel, path string) (bool, error) {
	payload, err := h.ask(wire.ParcelHas{Parcel: p.number, Path: path}, h.parcelHas)
	if err != nil {
		return false, err
	}
	var reply wire.ParcelHasReply
	if err := json.Unmarshal(payload, &reply); err != nil {
		return false, hostError(err)
	}
	return reply.Has, nil
}

// Size waits for the document and returns how many bytes of JSON it has.
func (h *Host) Size(p Parcel) (int, error) {
	payload, err := h.ask(wire.ParcelNumber{Parcel: p.number}, h.parcelSize)
	if err != nil {
		return 0, err
	}
	var reply wire.ParcelSize
	if err := json.Unmarshal(payload, &reply); err != nil {
		return 0, hostError(err)
	}
	return reply.Size, nil
}

// Wait waits for the document. The error is why there is none.
func (h *Host) Wait(p Parcel) error {
	_, err := h.ask(wire.ParcelNumber{Parcel: p.number}, h.parcelStatus)
	return err
}

func (h *Host) ask(request any, op func([]byte) []byte) ([]byte, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, Errorf(Permanent, "the request cannot be written as JSON")
	}
	payload, err := wire.ParseReply(op(text))
	if err != nil {
		return nil, hostError(err)
	}
	return payload, nil
}
