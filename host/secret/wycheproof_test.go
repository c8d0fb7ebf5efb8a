package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pointsman/host/secret"
)

// corpus lies beside the project's root.
const corpus = "../../../shared/corpus/wycheproof"

type wycheproof struct {
	TestGroups []struct {
		IVSize  int `json:"ivSize"`  // bits
		KeySize int `json:"keySize"` // bits
		TagSize int `json:"tagSize"` // bits
		Tests   []struct {
			ID                         int `json:"tcId"`
			Comment, Result            string
			Key, IV, AAD, Msg, CT, Tag hexText
		}
	} `json:"testGroups"`
}

type hexText []byte

func (h *hexText) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func vectors(t *testing.T, name string) wycheproof {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus, name))
	if os.IsNotExist(err) {
		t.Skipf("the Wycheproof vectors are not at %s", corpus)
	}
	var v wycheproof
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// rawKeyset is a keyset of one key without a prefix, as JSON. params is field 2 of the key.
func rawKeyset(kind string, params, key []byte) []byte {
	var proto []byte
	if params != nil {
		proto = append(append(proto, 0x12, byte(len(params))), params...)
	}
	proto = append(append(proto, 0x1a, byte(len(key))), key...) // field 3: the key, under 128 bytes
	return fmt.Appendf(nil, `{"primaryKeyId":1,"key":[{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.%s",`+
		`"value":%q,"keyMaterialType":"SYMMETRIC"},"status":"ENABLED","keyId":1,"outputPrefixType":"RAW"}]}`,
		kind, base64.StdEncoding.EncodeToString(proto))
}

// TestWycheproofAEAD opens the vectors of both ciphers that a keyring may hold, with keys
// read as a keyring's are.
func TestWycheproofAEAD(t *testing.T) {
	tests := []struct {
		file, kind string
		ivSize     int
		least      int // vectors that must have been tried
	}{
		{"xchacha20_poly1305_test.json", "XChaCha20Poly1305Key", 192, 250},
		{"aes_gcm_siv_test.json", "AesGcmSivKey", 96, 190},
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			tried := 0
			for _, g := range vectors(t, tt.file).TestGroups {
				if g.IVSize != tt.ivSize || g.TagSize != 128 {
					continue // Tink writes the nonce of its length in front, so there is no other
				}
				for _, v := range g.Tests {
					open, err := secret.OpenWith(rawKeyset(tt.kind, nil, v.Key))
					if err != nil {
						t.Fatalf("%d: %v", v.ID, err)
					}
					tried++
					plain, err := open(bytes.Join([][]byte{v.IV, v.CT, v.Tag}, nil), v.AAD)
					if opened := err == nil; opened != (v.Result == "valid") {
						t.Errorf("%d (%s): opened is %v, the vector is %s", v.ID, v.Comment, opened, v.Result)
					}
					if err == nil && !bytes.Equal(plain, v.Msg) {
						t.Errorf("%d (%s): got %x, want %x", v.ID, v.Comment, plain, []byte(v.Msg))
					}
				}
			}
			if tried < tt.least {
				t.Errorf("%d vectors tried, want at least %d", tried, tt.least)
			}
		})
	}
}

// TestWycheproofHMAC compares the keyed hash of a keyring's key with the vectors.
func TestWycheproofHMAC(t *testing.T) {
	tried := 0
	for _, g := range vectors(t, "hmac_sha256_test.json").TestGroups {
		if g.KeySize < 256 || g.KeySize > 512 || g.TagSize != 256 {
			continue // Tink refuses shorter keys
		}
		for _, v := range g.Tests {
			hash, err := secret.HashWith(rawKeyset("HmacPrfKey", []byte{0x08, 3}, v.Key)) // hash: SHA256
			if err != nil {
				t.Fatalf("%d: %v", v.ID, err)
			}
			tried++
			got, err := hash(v.Msg)
			if err != nil || bytes.Equal(got, v.Tag) != (v.Result == "valid") {
				t.Errorf("%d (%s): %x, %v; the vector is %s", v.ID, v.Comment, got, err, v.Result)
			}
		}
	}
	if tried < 50 {
		t.Errorf("%d vectors tried, want at least 50", tried)
	}
}
