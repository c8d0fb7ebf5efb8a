package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pointsman/host"
	"pointsman/host/secret"
	"pointsman/host/secret/plain"
	"pointsman/host/secret/vault"
)

// providers is what --secrets names, opened.
type providers struct {
	chain  *secret.Chain
	all    []secret.Provider
	memory *secret.Memory // nil: not among them
	await  []string       // names that memory is to be given before anything is deployed
	vaults []*vault.Client
	clear  []string // words for those that hold secrets in the clear
}

// providerWords are what --secrets can say, for its help and refusals.
const providerWords = "sealed, sealed-for=DIR, memory, memory=NAME+NAME, vault=FILE, env=PREFIX or file=DIR"

// openProviders opens what --secrets names, in its order. Nothing is asked of another
// machine yet. The caller closes it.
func openProviders(c host.Config, keyring *secret.Keyring) (_ *providers, err error) {
	p := new(providers)
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	seen := map[string]bool{}
	for _, word := range strings.Split(c.Providers, ",") {
		kind, arg, _ := strings.Cut(strings.TrimSpace(word), "=")
		if seen[kind+"="+arg] {
			return nil, refused(fmt.Errorf("--secrets names %s twice", kind))
		}
		seen[kind+"="+arg] = true
		next, err := p.open(c, keyring, kind, arg)
		if err != nil {
			return nil, refused(fmt.Errorf("secrets of %s: %w", kind, err))
		}
		p.all = append(p.all, next)
	}
	if p.chain, err = secret.NewChain(p.all...); err != nil {
		return nil, refused(err)
	}
	return p, nil
}

func (p *providers) open(c host.Config, keyring *secret.Keyring, kind, arg string) (secret.Provider, error) {
	if needs := kind != "sealed" && kind != "memory"; needs == (arg == "") && kind != "memory" {
		return nil, fmt.Errorf("--secrets is a list of %s", providerWords)
	}
	switch kind {
	case "sealed":
		return secret.OpenStore(c.Data, keyring)
	case "sealed-for":
		key, err := secret.OpenRecipient(c.Data, keyring, false)
		if errors.Is(err, os.ErrNotExist) {
			return nil, errors.New("this broker has no key pair; make it with: pointsman secret keys public")
		}
		if err != nil {
			return nil, err
		}
		return secret.NewSealedFor(arg, key, defaultOverlap)
	case "memory":
		if p.memory != nil {
			return nil, errors.New("there is one memory")
		}
		p.memory = secret.NewMemory()
		if arg != "" {
			p.await = strings.Split(arg, "+")
		}
		for _, name := range p.await {
			if err := secret.CheckName(name); err != nil {
				return nil, err
			}
		}
		return p.memory, nil
	case "vault":
		client, err := newVault(arg)
		if err == nil {
			p.vaults = append(p.vaults, client)
		}
		return client, err
	case "env":
		p.clear = append(p.clear, kind)
		return plain.Env{Prefix: arg}, nil
	case "file":
		p.clear = append(p.clear, kind)
		return plain.Dir{Path: arg}, nil
	}
	return nil, fmt.Errorf("--secrets is a list of %s", providerWords)
}

// missing are the names that memory is still to be given.
func (p *providers) missing() []string {
	return slices.DeleteFunc(slices.Clone(p.await), func(name string) bool {
		has, err := p.memory.Has(name)
		return has && err == nil
	})
}

// taken reports whether another provider than memory has that name.
func (p *providers) taken(name string) (bool, error) {
	for _, other := range p.all {
		if other == secret.Provider(p.memory) {
			continue
		}
		if has, err := other.Has(name); has || err != nil {
			return has, err
		}
	}
	return false, nil
}

func (p *providers) close() {
	for _, v := range p.vaults {
		v.Close()
	}
}

// withProviders calls do with the providers that c names, for one command.
func withProviders(c host.Config, do func(*secret.Chain) error) error {
	keyring, err := openState(c)
	if err != nil {
		return err
	}
	p, err := openProviders(c, keyring)
	if err != nil {
		return err
	}
	defer p.close()
	return do(p.chain)
}

// newVault returns the client that a file describes. Paths in it are relative to its folder.
func newVault(path string) (*vault.Client, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := vault.ParseFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c := vault.Config{
		Address: f.Address, Namespace: f.Namespace, Private: f.Private, Insecure: f.Insecure,
		AppRole: f.AppRole, RoleID: f.RoleID, Secrets: f.Secrets, Transit: f.Transit, Overlap: defaultOverlap,
	}
	if f.SecretID != "" {
		source := f.SecretID
		if kind, _, _ := strings.Cut(source, ":"); kind != "file" && kind != "credential" {
			return nil, fmt.Errorf("%s: secret_id: where it can be read again for each login, file:PATH or credential:NAME", path)
		}
		if name, ok := strings.CutPrefix(source, "file:"); ok && !filepath.IsAbs(name) {
			source = "file:" + filepath.Join(filepath.Dir(path), name)
		}
		c.SecretID = func() ([]byte, error) { return readSource(source, "secret id", false) }
	}
	if f.CA != "" {
		name := f.CA
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(path), name)
		}
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", name)
		}
	}
	client, err := vault.New(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return client, nil
}
