//go:build !wasip1

package pdktest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"pointsman/pdk/wire"
)

// Pointer is what a Host mints for a record, and opens: text that looks like a pointer of
// the broker's and is none, since who knows this function can read and make it.
func Pointer(domain, id string) string {
	sum := sha256.Sum256([]byte(domain + " " + id))
	return "ptr_" + domain + "_" + base64.RawURLEncoding.EncodeToString(append(sum[:pointerSum:pointerSum], id...))
}

// pointerSum is the length of the checksum in front of the id, in bytes.
const pointerSum = 8

// openPointer opens what Pointer returns for the domain, and nothing else.
func (h *Host) openPointer(request []byte) []byte {
	h.t.Helper()
	var r wire.PointerOpen
	if err := strict(request, &r); err != nil {
		h.t.Errorf("pointer.open: %v", err)
	}
	payload, _ := strings.CutPrefix(r.Pointer, "ptr_"+r.Domain+"_")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || len(raw) <= pointerSum || Pointer(r.Domain, string(raw[pointerSum:])) != r.Pointer {
		return wire.Failed(wire.Error{Code: wire.NotFound, Message: "no such record"})
	}
	return pointerReply(wire.PointerOpened{ID: string(raw[pointerSum:])})
}

func (h *Host) mintPointer(request []byte) []byte {
	h.t.Helper()
	var r wire.PointerMint
	if err := strict(request, &r); err != nil {
		h.t.Errorf("pointer.mint: %v", err)
	}
	if r.ID == "" || len(r.ID) > 255 {
		return wire.Failed(wire.Error{Code: wire.Permanent, Message: "an id is 1 to 255 bytes"})
	}
	return pointerReply(wire.PointerMinted{Pointer: Pointer(r.Domain, r.ID)})
}

func pointerReply(reply any) []byte {
	text, err := json.Marshal(reply)
	if err != nil { // strings always marshal
		return nil
	}
	return wire.Done(text)
}
