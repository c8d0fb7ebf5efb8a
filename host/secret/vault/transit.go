package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// wrappedFor is the associated data of wrapped keys: what the same Transit key encrypted
// for something else does not unwrap.
const wrappedFor = "pointsman-keyring"

// errNoTransit is returned by a client that was configured without a key.
var errNoTransit = errors.New(`vault: the configuration has no "transit"`)

// KMS implements secret.KMS.
func (v *Client) KMS() string {
	if v.config.Transit == nil {
		return "vault"
	}
	return fmt.Sprintf("vault %s/%s", v.config.Transit.Mount, v.config.Transit.Name)
}

type transitBody struct {
	Plaintext      []byte `json:"plaintext,omitzero"` // base64, as encoding/json writes bytes
	Ciphertext     string `json:"ciphertext,omitzero"`
	AssociatedData []byte `json:"associated_data"`
}

type transitAnswer struct {
	Data struct {
		Plaintext  []byte `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
	} `json:"data"`
}

// Wrap implements secret.KMS. The key must exist: a policy with the capability "update" and
// without "create" keeps Vault from making one.
func (v *Client) Wrap(ctx context.Context, plain []byte) ([]byte, error) {
	var a transitAnswer
	if err := v.transit(ctx, "encrypt", transitBody{Plaintext: plain, AssociatedData: []byte(wrappedFor)}, &a); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(a.Data.Ciphertext, "vault:v") {
		return nil, errors.New("vault: transit answered without a ciphertext")
	}
	return []byte(a.Data.Ciphertext), nil
}

// Unwrap implements secret.KMS.
func (v *Client) Unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	var a transitAnswer
	if err := v.transit(ctx, "decrypt", transitBody{Ciphertext: string(wrapped), AssociatedData: []byte(wrappedFor)}, &a); err != nil {
		return nil, err
	}
	return a.Data.Plaintext, nil
}

func (v *Client) transit(ctx context.Context, verb string, body transitBody, a *transitAnswer) error {
	if v.config.Transit == nil {
		return errNoTransit
	}
	return v.do(ctx, http.MethodPost, "/v1/"+v.config.Transit.Mount+"/"+verb+"/"+v.config.Transit.Name, body, a)
}
