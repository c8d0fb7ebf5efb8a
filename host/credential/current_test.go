package credential_test

import (
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"pointsman/host/credential"
	"pointsman/host/egress"
)

// TestReplacedKeysAreLookedFor: what any placement places now, and what that replaced a
// short while ago, is told to whoever searches answers: with the next request, and for one
// that was placed before.
func TestReplacedKeysAreLookedFor(t *testing.T) {
	const old, fresh = "first-key-0123456789", "second-key-0123456789"
	written := func(s string) string { return hex.EncodeToString([]byte(s)) }
	tests := []struct {
		name       string
		values     [2]string
		open       func(credential.Parts) (egress.Placement, error)
		want, also []string // of both values, and of the new one
	}{
		{"static", [2]string{old, fresh}, func(p credential.Parts) (egress.Placement, error) {
			return credential.NewStatic(credential.Static{Secret: "key", Spot: credential.Spot{As: "bearer"}}, p)
		}, []string{fresh, old}, nil},
		{"password", [2]string{"u:" + old, "u:" + fresh}, func(p credential.Parts) (egress.Placement, error) {
			return credential.NewStatic(credential.Static{Secret: "key", Spot: credential.Spot{As: "basic"}}, p)
		}, []string{fresh, old, "u:" + fresh, "u:" + old}, nil},
		{"hmac", [2]string{old, fresh}, func(p credential.Parts) (egress.Placement, error) {
			return credential.NewHMAC(credential.HMAC{Secret: "key", Over: []string{"path"}, Signature: credential.HMACField{Name: "X-S"}}, p)
		}, []string{fresh, old}, nil},
		{"hmac in hex", [2]string{written(old), written(fresh)}, func(p credential.Parts) (egress.Placement, error) {
			return credential.NewHMAC(credential.HMAC{Secret: "key", Key: "hex", Over: []string{"path"}, Signature: credential.HMACField{Name: "X-S"}}, p)
		}, []string{fresh, old, written(fresh), written(old)}, nil},
		{"sigv4", [2]string{"AKID1:" + old, "AKID2:" + fresh + ":session"}, func(p credential.Parts) (egress.Placement, error) {
			return credential.NewSigV4(credential.SigV4{Secret: "key", Region: "a", Service: "b"}, p)
		}, []string{fresh, old}, []string{"session"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVault("key", tt.values[0])
			p, err := tt.open(credential.Parts{Secret: v.open})
			if err != nil {
				t.Fatal(err)
			}
			v.rotate("key", tt.values[1])
			want := append(tt.want, tt.also...)
			if _, forms := place(t, p, request(t, "GET", "/x", ""), ""); !has(forms, want...) {
				t.Errorf("placed with forms %q, want %q among them", forms, want)
			}
			now := p.Current()
			if forms := texts(now.Forms()); !has(forms, want...) {
				t.Errorf("current forms %q, want %q among them", forms, want)
			}
			kept := slices.Clone(now.Forms())
			now.Wipe()
			for _, f := range kept {
				if slices.ContainsFunc(f, func(c byte) bool { return c != 0 }) {
					t.Errorf("%q is left after Wipe", f)
				}
			}
			v.revoke("key")
			if now := p.Current(); now != nil {
				t.Errorf("a secret that is gone has forms %q", now.Forms())
			}
		})
	}
}

// TestCurrentToken: a token that was fetched while an answer was on its way is looked for in
// it, nothing is fetched for that, and nothing is told of a source that is closed.
func TestCurrentToken(t *testing.T) {
	w := newWorld(t, nil, tokens("token-1", "token-2"), "client", clientSecret)
	s := newSession(t, shop(), w.parts)
	if now := s.Current(); now != nil {
		t.Errorf("forms %q before anything was fetched", now.Forms())
	}
	used, err := s.Place(t.Context(), request(t, "GET", "/", ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !has(texts(s.Current().Forms()), "token-1", clientSecret) {
		t.Errorf("forms %q", s.Current().Forms())
	}
	w.move(20 * time.Second)
	if !s.Refused(used) || !has(texts(s.Current().Forms()), "token-1") {
		t.Error("a refused token is not looked for any more")
	}
	place(t, s, request(t, "GET", "/", ""), "")
	if forms := texts(s.Current().Forms()); !has(forms, "token-2", "token-1") {
		t.Errorf("forms %q, want both", forms)
	}
	s.Close()
	if now := s.Current(); now != nil {
		t.Errorf("forms %q after Close", now.Forms())
	}
}

func texts(forms [][]byte) (all []string) {
	for _, f := range forms {
		all = append(all, string(f))
	}
	return all
}
