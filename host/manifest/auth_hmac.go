package manifest

import (
	"slices"

	"go.yaml.in/yaml/v4"
)

// overParts are what a signature can cover.
var overParts = []string{OverMethod, OverHost, OverPath, OverQuery, OverTarget, OverTimestamp, OverNonce, OverKeyID, OverDigest, OverBody}

func hmacAuth() form[HMACAuth] {
	encoded := func() form[HMACField] {
		return object(HMACField{}, nil,
			required(key("header", ownHeader(), "the header's name", func(f *HMACField) *string { return &f.Name })),
			key("prefix", shownPrefix(), "what stands before it, such as sha256=", func(f *HMACField) *string { return &f.Prefix }),
			key("encoding", choice(codeWord, EncodingHex, EncodingBase64), "hex, unless written, or base64", func(f *HMACField) *string { return &f.Encoding }))
	}
	timestamp := object(Timestamp{}, nil,
		required(key("header", ownHeader(), "the header's name", func(t *Timestamp) *string { return &t.Name })),
		key("format", choice(codeWord, TimeUnix, TimeMillis, TimeRFC3339, TimeHTTP), "unix, in seconds, unless written", func(t *Timestamp) *string { return &t.Format }))
	keyID := object(KeyID{}, nil,
		required(key("header", ownHeader(), "the header's name", func(k *KeyID) *string { return &k.Name })),
		required(key("value", shown(200), "the key's id, which is no secret", func(k *KeyID) *string { return &k.Value })))
	nonce := object("", nil, required(key("header", ownHeader(), "the header's name", func(s *string) *string { return s })))
	return object(HMACAuth{Join: "\n"}, checkHMAC,
		required(key("secret", secretName(), "name of the secret with the key", func(h *HMACAuth) *string { return &h.Secret })),
		key("key", choice(codeWord, KeyText, EncodingHex, EncodingBase64), "how the key is written: text, unless written, hex or base64", func(h *HMACAuth) *string { return &h.Key }),
		key("hash", choice(codeWord, HashSHA256, HashSHA384, HashSHA512), "sha256 unless written", func(h *HMACAuth) *string { return &h.Hash }),
		required(key("over", sequence(1, len(overParts), choice(codeWord, overParts...), itself), "what is signed, in this order", func(h *HMACAuth) *[]string { return &h.Over })),
		key("join", joinText(), `what stands between the parts; a line feed unless written`, func(h *HMACAuth) *string { return &h.Join }),
		required(key("signature", encoded(), "the header that carries it", func(h *HMACAuth) *HMACField { return &h.Signature })),
		key("digest", encoded(), "a header with the digest of the body", func(h *HMACAuth) *HMACField { return &h.Digest }),
		key("timestamp", timestamp, "a header with the time", func(h *HMACAuth) *Timestamp { return &h.Timestamp }),
		key("nonce", nonce, "a header with a random number", func(h *HMACAuth) *string { return &h.Nonce }),
		key("keyId", keyID, "a header with the key's id", func(h *HMACAuth) *KeyID { return &h.KeyID }))
}

// ownHeader is the name of a header that the host sets to sign a request.
func ownHeader() form[string] {
	return word("a header's name", schema{"pattern": answerToken.String()}, func(s string) (string, *problem) {
		switch {
		case headerFrames(s):
			return "", problemf(codeFieldDenied, "", "the header %s cannot be part of a signature", quote(s))
		case !answerToken.MatchString(s):
			return "", problemf(codeFieldName, "", "%s is not a header's name", quote(s))
		}
		return canonicalHeader(s), nil
	}, itself)
}

func shownPrefix() form[string] {
	return word("printable ASCII", schema{"minLength": 1, "maxLength": 64, "pattern": headerText.String()}, func(s string) (string, *problem) {
		if len(s) > 64 || !headerText.MatchString(s) {
			return "", problemf(codeName, "", "expected printable ASCII that does not begin with a space, at most 64 characters")
		}
		return s, nil
	}, itself)
}

func joinText() form[string] {
	return word("at most 8 characters", schema{"minLength": 1, "maxLength": 8}, func(s string) (string, *problem) {
		if len(s) == 0 || len(s) > 8 {
			return "", problemf(codeLength, "", "expected 1 to 8 characters")
		}
		return s, nil
	}, itself)
}

func checkHMAC(r *reader, n *yaml.Node, at string, h *HMACAuth) {
	over := child(n, "over")
	for _, need := range []struct{ part, name string }{{OverTimestamp, h.Timestamp.Name}, {OverNonce, h.Nonce}, {OverKeyID, h.KeyID.Name}} {
		if slices.Contains(h.Over, need.part) && need.name == "" && child(n, need.part) == n {
			r.add(over, join(at, "over"), codeContradiction, "", "the signature covers %s, which is not sent; write %s: {header: NAME}", need.part, need.part)
		}
	}
	seen := map[string]bool{}
	for _, use := range []struct{ part, name string }{{"signature", h.Signature.Name}, {"digest", h.Digest.Name}, {"timestamp", h.Timestamp.Name}, {"nonce", h.Nonce}, {"keyId", h.KeyID.Name}} {
		if use.name != "" && seen[use.name] {
			r.add(child(n, use.part, "header"), join(join(at, use.part), "header"), codeRepeated, "", "the header %s is another part of the signature already", quote(use.name))
		}
		seen[use.name] = true
	}
}
