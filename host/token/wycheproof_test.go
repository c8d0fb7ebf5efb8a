package token_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"pointsman/host/token"
)

func algOf(jws string) string {
	head, _, _ := strings.Cut(jws, ".")
	text, _ := base64.RawURLEncoding.DecodeString(head)
	var h struct{ Alg string }
	_ = json.Unmarshal(text, &h) // what is no header has no algorithm
	return h.Alg
}

// What Wycheproof calls invalid is refused. What it calls valid holds, if it is one of the
// algorithms here, under the key's own alg, and not without a payload, which no token is.
func TestWycheproof(t *testing.T) {
	files := []struct {
		name        string
		held, tried int // at least
	}{{"json_web_signature_test.json", 14, 398}, {"json_web_crypto_test.json", 2, 40}, {"json_web_key_test.json", 1, 26}}
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			text, err := os.ReadFile("../../../shared/corpus/wycheproof/" + f.name)
			if err != nil {
				t.Skip("../shared/corpus/wycheproof/" + f.name + " is not present")
			}
			var suite struct {
				TestGroups []struct {
					Comment         string
					Private, Public json.RawMessage
					Tests           []struct {
						TcID            int
						Comment, Result string
						JWS             any // a text, or an object in the other serialization
					}
				}
			}
			if err := json.Unmarshal(text, &suite); err != nil {
				t.Fatal(err)
			}
			held, tried := 0, 0
			for _, g := range suite.TestGroups {
				public := g.Public
				if public == nil {
					public = g.Private // of a symmetric key there is no other
				}
				keys := `{"keys":[` + string(public) + `]}`
				if strings.HasPrefix(string(public), "{") && strings.Contains(string(public), `"keys"`) {
					keys = string(public)
				}
				var key struct{ Alg string }
				if err := json.Unmarshal(public, &key); err != nil {
					t.Fatal(err)
				}
				for _, tt := range g.Tests {
					jws, ok := tt.JWS.(string)
					if !ok { // a JWE, or JSON, which TestAttacks refuses
						continue
					}
					tried++
					holds := token.HoldsJWS([]byte(keys), jws)
					ours := slices.Contains(token.Algorithms(), key.Alg) && algOf(jws) == key.Alg && !strings.Contains(jws, "..")
					switch {
					case holds && tt.Result == "invalid":
						t.Errorf("%d (%s, %s) is taken", tt.TcID, g.Comment, tt.Comment)
					case !holds && tt.Result == "valid" && ours:
						t.Errorf("%d (%s, %s) is refused", tt.TcID, g.Comment, tt.Comment)
					case holds:
						held++
					}
				}
			}
			if held < f.held || tried < f.tried {
				t.Errorf("%d of %d hold", held, tried)
			}
			t.Logf("%d of %d hold", held, tried)
		})
	}
}
