package pdk_test

import (
	"strings"
	"testing"

	"pointsman/pdk"
	"pointsman/pdk/pdktest"
	"pointsman/pdk/wire"
)

func TestPointerBadReplies(t *testing.T) {
	unreadable := wire.Error{Code: wire.Permanent, Message: "the host's reply cannot be read"}
	tests := []struct {
		name, reply string
		want        wire.Error
	}{
		{"not found", string(wire.Failed(wire.Error{Code: wire.NotFound, Message: "no such record"})), wire.Error{Code: wire.NotFound, Message: "no such record"}},
		{"denied", string(wire.Failed(wire.Error{Code: wire.Denied, Message: "domain"})), wire.Error{Code: wire.Denied, Message: "domain"}},
		{"a word that is none", string(wire.Failed(wire.Error{Code: "canary"})), unreadable},
		{"no reply", "", unreadable},
		{"nothing in it", "\x00", unreadable},
		{"no JSON", "\x00{", unreadable},
		{"another shape", "\x00[]", unreadable},
		{"another type", "\x00" + `{"id":1,"pointer":1}`, unreadable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := pdk.NewHost(raw(tt.reply))
			id, err := h.OpenPointer("customer", "ptr_customer_x")
			if got := *wireError(t, err); got != tt.want || id != "" {
				t.Errorf("open: got %q, %+v, want %+v", id, got, tt.want)
			}
			text, err := h.MintPointer("customer", "4711")
			if got := *wireError(t, err); got != tt.want || text != "" {
				t.Errorf("mint: got %q, %+v, want %+v", text, got, tt.want)
			}
		})
	}
}

func TestPointers(t *testing.T) {
	h := pdktest.NewHost(t).Guest()
	text, err := h.MintPointer("customer", "4711")
	if err != nil || text != pdktest.Pointer("customer", "4711") || strings.Contains(text, "4711") {
		t.Errorf("minted %q, %v", text, err)
	}
	if id, err := h.OpenPointer("customer", text); err != nil || id != "4711" {
		t.Errorf("opened as %q, %v", id, err)
	}
	for name, bad := range map[string]string{
		"of another domain": pdktest.Pointer("supplier", "4711"), "cut short": text[:len(text)-1], "longer": text + "A", "an id": "4711", "nothing": "",
		"non-canonical": text[:len(text)-1] + "B",
	} {
		if id, err := h.OpenPointer("customer", bad); pdk.CodeOf(err) != pdk.NotFound || id != "" {
			t.Errorf("%s: opened as %q, %v, want not found", name, id, err)
		}
	}
	for _, id := range []string{"", strings.Repeat("x", 256)} {
		if text, err := h.MintPointer("customer", id); pdk.CodeOf(err) != pdk.Permanent || text != "" {
			t.Errorf("an id of %d bytes: minted %q, %v, want a refusal", len(id), text, err)
		}
	}
}

// TestRehearsePointers: a rehearsal goes on behind its pointers.
func TestRehearsePointers(t *testing.T) {
	var seen []string
	fn := func(h *pdk.Host, in struct {
		ID string `json:"id"`
	}) (string, error) {
		id, err := h.OpenPointer("customer", in.ID)
		if err != nil {
			return "", err
		}
		text, err := h.MintPointer("customer", id)
		seen = append(seen, id, text)
		return text, err
	}
	if err := pdk.Rehearse(pdk.Handler(fn), exchange); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 4 || seen[0] == "" || seen[1] == "" {
		t.Errorf("got %q, want an id and a pointer in each of two runs", seen)
	}
}
