// Package vault owns the client of HashiCorp Vault and OpenBao: it reads secrets from their
// KV engine, version 2, and wraps keys with their Transit engine.
package vault

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"pointsman/host/secret"
)

// Config says where the server is, as whom to log in and what to use there.
type Config struct {
	Address   string // origin, such as https://vault.acme.example:8200
	Namespace string // of Vault Enterprise and OpenBao; empty: none
	RootCAs   *x509.CertPool
	Private   []netip.Prefix // private networks that the server may be in
	Insecure  bool           // plain HTTP is meant; for a development server on this machine

	AppRole  string // where the auth method is mounted; "" means approle
	RoleID   string
	SecretID func() ([]byte, error) // asked at each login; the result is wiped

	Secrets map[string]Path // which names are served, and from where
	Transit *Key            // nil: no KMS

	Refresh time.Duration // how often values are read again; 0 means 15 s
	Overlap time.Duration // for how long a value that was replaced is still looked for
}

// Path is where the value of a secret lies.
type Path struct {
	Mount string `json:"mount"` // of the KV engine, such as secret
	Path  string `json:"path"`  // below it, such as acme/crm
	Field string `json:"field"` // of the map that lies there; its value must be a string
}

// Key is a key of the Transit engine, of a type that takes associated data: aes256-gcm96 or
// chacha20-poly1305.
type Key struct {
	Mount string `json:"mount"` // such as transit
	Name  string `json:"key"`
}

// File is a Config as it is written, in strict JSON. Names of files and sources are for who
// reads the file to resolve.
type File struct {
	Address   string          `json:"address"`
	Namespace string          `json:"namespace,omitzero"`
	CA        string          `json:"ca,omitzero"`      // file of roots, PEM; empty: the system's
	Private   []netip.Prefix  `json:"private,omitzero"` // e.g. 10.2.0.0/16
	Insecure  bool            `json:"insecure,omitzero"`
	AppRole   string          `json:"approle,omitzero"`
	RoleID    string          `json:"role_id"`
	SecretID  string          `json:"secret_id"` // file:PATH, fd:N or credential:NAME, never the value
	Secrets   map[string]Path `json:"secrets,omitzero"`
	Transit   *Key            `json:"transit,omitzero"`
}

// maxConfig is the largest file of a Config, in bytes: MaxCount secrets with long paths.
const maxConfig = 512 << 10

// ParseFile reads a File. Unknown and repeated members are refused.
func ParseFile(text []byte) (File, error) {
	var f File
	if len(text) > maxConfig {
		return f, fmt.Errorf("larger than %d bytes", maxConfig)
	}
	if err := json.Unmarshal(text, &f, json.RejectUnknownMembers(true)); err != nil {
		return File{}, err
	}
	return f, nil
}

// Parts of paths, stricter than Vault: no part can change what the rest means.
var (
	mountRE = regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`)
	pathRE  = regexp.MustCompile(`^[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$`)
	headRE  = regexp.MustCompile(`^[A-Za-z0-9_/-]*$`)
)

func (c Config) check() error {
	var errs []error
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Address != "", "no address")
	bad(headRE.MatchString(c.Namespace), "namespace: letters, digits and _/- only")
	bad(mountRE.MatchString(c.AppRole), "approle: not the path of a mount")
	bad(c.RoleID != "", "no role_id")
	bad(c.SecretID != nil, "no secret_id")
	bad(c.Refresh >= 0 && c.Overlap >= 0 && c.Overlap <= secret.MaxOverlap, "times: out of range")
	bad(len(c.Secrets) <= secret.MaxCount, "more than %d secrets", secret.MaxCount)
	for name, p := range c.Secrets {
		if err := secret.CheckName(name); err != nil {
			errs = append(errs, err)
		}
		bad(mountRE.MatchString(p.Mount) && pathRE.MatchString(p.Path) && p.Field != "",
			"secret %.80q: mount, path and field are needed, without a slash at their ends", name)
	}
	if c.Transit != nil {
		bad(mountRE.MatchString(c.Transit.Mount) && mountRE.MatchString(c.Transit.Name), "transit: mount and key are needed")
	}
	slices.SortFunc(errs, func(a, b error) int { return slices.Compare([]byte(a.Error()), []byte(b.Error())) })
	return errors.Join(errs...)
}
