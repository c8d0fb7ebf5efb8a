package pdk

import (
	"encoding/json"

	"pointsman/pdk/wire"
)

// OpenPointer returns the id of the record that a consumer's pointer points at. The grant
// names the domain. NotFound is the answer for every pointer that does not resolve here,
// whatever the reason: return it as it is.
func (h *Host) OpenPointer(domain, pointer string) (id string, err error) {
	var reply wire.PointerOpened
	err = usePointer(h.pointerOpen, wire.PointerOpen{Domain: domain, Pointer: pointer}, &reply)
	return reply.ID, err
}

// MintPointer returns the pointer to a record, for the consumer of this call: text that can
// be given to it instead of the id. The grant names the domain. Unless the domain is
// ephemeral, the same id is the same pointer every time.
func (h *Host) MintPointer(domain, id string) (pointer string, err error) {
	var reply wire.PointerMinted
	err = usePointer(h.pointerMint, wire.PointerMint{Domain: domain, ID: id}, &reply)
	return reply.Pointer, err
}

// usePointer is given the operation that it sends to, so that a module imports only the one
// that it uses.
func usePointer(send func(request []byte) []byte, request, reply any) error {
	text, err := json.Marshal(request)
	if err != nil { // strings always marshal
		return Errorf(Permanent, "the request cannot be written as JSON")
	}
	payload, err := wire.ParseReply(send(text))
	if err == nil {
		err = json.Unmarshal(payload, reply)
	}
	if err != nil {
		return hostError(err)
	}
	return nil
}
