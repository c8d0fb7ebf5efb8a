package rehearse

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/kv"
	"pointsman/host/sandbox"
	"pointsman/pdk/wire"
)

// memory is what a plugin keeps in one call of a rehearsal: there is nothing at its beginning.
type memory struct {
	version uint64
	entries map[string]entry
}

type entry struct {
	value   []byte
	version uint64
}

// keepsUntil is when everything that is kept ends, as far as plugins are told: no rehearsal
// lasts so long.
var keepsUntil = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

func (p *player) keeps(key string) error {
	p.uses = append(p.uses, use{of: source{"kv", ""}})
	if err := kv.CheckKey(key); err != nil {
		return &broker.Error{Kind: broker.Invalid, Detail: err.Error()}
	}
	return nil
}

func (p *player) get(request []byte) ([]byte, error) {
	var r wire.KVKey
	if _, err := frame(request, &r); err != nil {
		return nil, err
	}
	if err := p.keeps(r.Key); err != nil {
		return nil, err
	}
	e := p.kept.entries[r.Key]
	head := wire.KVEntry{Version: e.version}
	if e.version != 0 {
		head.ExpiresMS = keepsUntil.UnixMilli()
	}
	return wire.Frame(head, e.value)
}

func (p *player) drop(request []byte) ([]byte, error) {
	var r wire.KVKey
	if _, err := frame(request, &r); err != nil {
		return nil, err
	}
	if err := p.keeps(r.Key); err != nil {
		return nil, err
	}
	delete(p.kept.entries, r.Key)
	return nil, nil
}

func (p *player) put(request []byte) ([]byte, error) {
	var r wire.KVPut
	value, err := frame(request, &r)
	if err != nil {
		return nil, err
	}
	return p.keep(r.Key, value)
}

func (p *player) swap(request []byte) ([]byte, error) {
	var r wire.KVSwap
	value, err := frame(request, &r)
	if err != nil {
		return nil, err
	}
	if there := p.kept.entries[r.Key].version; there != r.Version {
		if err := p.keeps(r.Key); err != nil {
			return nil, err
		}
		return json.Marshal(wire.KVVersion{Version: there})
	}
	return p.keep(r.Key, value)
}

func (p *player) keep(key string, value []byte) ([]byte, error) {
	if err := p.keeps(key); err != nil {
		return nil, err
	}
	if len(value) > kv.MaxValue {
		return nil, &broker.Error{Kind: broker.TooLarge, Detail: kv.ErrLarge.Error()}
	}
	if p.kept.entries == nil {
		p.kept.entries = map[string]entry{}
	}
	p.kept.version++
	p.kept.entries[key] = entry{value, p.kept.version}
	return json.Marshal(wire.KVVersion{Done: true, Version: p.kept.version})
}

// pointerTo is what package pdktest of the PDK mints for a record, and opens: exchange files
// hold such pointers. It looks like one of the broker's and is none.
func pointerTo(domain, id string) string {
	sum := sha256.Sum256([]byte(domain + " " + id))
	return "ptr_" + domain + "_" + base64.RawURLEncoding.EncodeToString(append(sum[:pointerSum:pointerSum], id...))
}

// pointerSum is the length of the checksum in front of the id, in bytes.
const pointerSum = 8

func (p *player) open(request []byte) ([]byte, error) {
	var r wire.PointerOpen
	if err := capability.Decode(request, &r); err != nil {
		return nil, err
	}
	if err := nameable(r.Domain); err != nil {
		return nil, err
	}
	p.uses = append(p.uses, use{of: source{"pointer", r.Domain}, what: "open"})
	text, _ := strings.CutPrefix(r.Pointer, "ptr_"+r.Domain+"_")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) <= pointerSum || pointerTo(r.Domain, string(raw[pointerSum:])) != r.Pointer {
		return nil, &wire.Error{Code: wire.NotFound, Message: "no such record"}
	}
	id := string(raw[pointerSum:])
	p.values.add(r.Domain, id)
	return json.Marshal(wire.PointerOpened{ID: id})
}

func (p *player) mint(request []byte) ([]byte, error) {
	var r wire.PointerMint
	if err := capability.Decode(request, &r); err != nil {
		return nil, err
	}
	if err := nameable(r.Domain); err != nil {
		return nil, err
	}
	p.uses = append(p.uses, use{of: source{"pointer", r.Domain}, what: "mint"})
	if r.ID == "" || len(r.ID) > 255 {
		return nil, &wire.Error{Code: wire.Permanent, Message: "an id is 1 to 255 bytes"}
	}
	return json.Marshal(wire.PointerMinted{Pointer: pointerTo(r.Domain, r.ID)})
}

func (p *player) log(request []byte) ([]byte, error) {
	var r wire.LogRecord
	if err := capability.Decode(request, &r); err != nil {
		return nil, err
	}
	p.uses = append(p.uses, use{of: source{"log", ""}})
	p.logs = append(p.logs, sandbox.Printable(fmt.Sprintf("%s: %s %v", r.Level, r.Message, r.Fields)))
	return nil, nil
}
