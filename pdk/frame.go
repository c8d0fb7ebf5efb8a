package pdk

import (
	"encoding/binary"
	"strconv"

	"pointsman/pdk/wire"
)

// The messages of parcels are written and read by hand: encoding/json takes longer for each of
// them, in a sandbox, than the host does for the whole call.

// framed is a message of a head that write appends, and a body.
func framed(body []byte, write func(head []byte) []byte) []byte {
	const length = 4
	frame := make([]byte, length, length+256+len(body))
	frame = write(frame)
	binary.LittleEndian.PutUint32(frame, uint32(len(frame)-length))
	return append(frame, body...)
}

// appendString appends s as a JSON string. What is not UTF-8 the host refuses.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		if from = i + 1; c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	return append(append(dst, s[from:]...), '"')
}

// appendFetch appends a wire.HTTPFetch.
func appendFetch(dst []byte, r Request, body Parcel, faults []Fault) []byte {
	method := r.Method
	if method == "" {
		method = "GET"
	}
	dst = appendString(append(dst, `{"backend":`...), r.Backend)
	dst = appendString(append(dst, `,"method":`...), method)
	dst = appendString(append(dst, `,"path":`...), r.Path)
	dst = appendFields(dst, `,"query":[`, r.Query)
	dst = appendFields(dst, `,"header":[`, r.Header)
	if body.number != 0 {
		dst = strconv.AppendUint(append(dst, `,"body_parcel":`...), body.number, 10)
	}
	for i, f := range faults {
		dst = append(dst, [2]string{`,"faults":[`, `,`}[min(i, 1)]...)
		dst = strconv.AppendInt(append(dst, `{"status":`...), int64(f.Status), 10)
		dst = appendString(append(dst, `,"path":`...), f.Path)
		dst = appendString(append(dst, `,"is":`...), f.Is)
		dst = append(appendString(append(dst, `,"code":`...), string(f.Code)), '}')
	}
	if len(faults) > 0 {
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendFields(dst []byte, begin string, fields []Field) []byte {
	for i, f := range fields {
		if i == 0 {
			dst = append(dst, begin...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"name":`...), f.Name)
		dst = append(appendString(append(dst, `,"value":`...), f.Value), '}')
	}
	if len(fields) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

// appendNumber appends an object with one member, a number.
func appendNumber(dst []byte, name string, n uint64) []byte {
	dst = appendString(append(dst, '{'), name)
	return append(strconv.AppendUint(append(dst, ':'), n, 10), '}')
}

// readNumber reads what appendNumber writes; false for anything else.
func readNumber(text []byte, name string) (n uint64, ok bool) {
	begin := len(name) + len(`{"":`)
	if len(text) <= begin+1 || string(text[:2]) != `{"` || string(text[2:2+len(name)]) != name ||
		string(text[2+len(name):begin]) != `":` || text[len(text)-1] != '}' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[begin:len(text)-1]), 10, 64)
	return n, err == nil
}

// parcelOf reads a reply that makes a parcel.
func parcelOf(reply []byte) (Parcel, error) {
	payload, err := wire.ParseReply(reply)
	if err != nil {
		return Parcel{}, hostError(err)
	}
	n, ok := readNumber(payload, "parcel")
	if !ok || n == 0 {
		return Parcel{}, hostError(errNoParcel)
	}
	return Parcel{n}, nil
}

var errNoParcel = Errorf(Permanent, "the host made no parcel")
