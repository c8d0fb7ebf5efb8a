package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"pointsman/host"
	"pointsman/host/adminsock"
	"pointsman/host/secret"
)

// How far a broker is, as /livez of its admin socket says it.
const (
	stateSealed  = "sealed"  // it has not got its master keys
	stateWaiting = "waiting" // for secrets that memory is to be given
	stateOpen    = "open"
)

// socketTime bounds what a closing admin socket waits for.
const socketTime = 5 * time.Second

// vaultRoom is the part of a broker that holds its master keys and secrets, and hears what
// its operator says about them. It implements adminsock.Handler.
type vaultRoom struct {
	config host.Config
	log    *slog.Logger
	socket *adminsock.Server

	unsealed chan struct{} // closed when keyring is there
	given    chan struct{} // gets one, or has one, when memory was given something

	mu        sync.Mutex
	keyring   *secret.Keyring // guarded by mu; nil while sealed
	providers *providers      // guarded by mu; nil until they are open
}

// openSecretsOf opens the master keys and providers of a broker, and its admin socket. It
// returns when there is everything that the broker must have before it deploys: with a
// keyring that is sealed, when someone has unsealed it; with secrets that memory must hold,
// when they have been given. Then c has what host.New takes. The caller closes the result.
func openSecretsOf(ctx context.Context, c *host.Config) (_ *vaultRoom, err error) {
	r := &vaultRoom{config: *c, log: c.Log, unsealed: make(chan struct{}), given: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if err := prepareState(*c); err != nil {
		return nil, err
	}
	keyring, err := unlockKeyring(ctx, *c, false)
	sealed := errors.Is(err, secret.ErrSealed) && c.Unlock == ""
	if err != nil && !sealed {
		return nil, err
	}
	r.keyring = keyring
	if err := r.listen(sealed || strings.Contains(c.Providers, "memory")); err != nil {
		return nil, err
	}
	if sealed {
		r.log.Warn("the broker is sealed and serves nobody; unseal it with: pointsman unseal", "data", c.Data)
		select {
		case <-r.unsealed:
			r.log.Info("the broker is unsealed")
		case <-ctx.Done():
			return nil, errStopped
		}
	}
	return r, r.open(ctx, c)
}

// errStopped says that the broker was told to end before it served.
var errStopped = errors.New("told to stop before it could serve")

// listen opens the admin socket. Where it is not needed, its failure is only logged.
func (r *vaultRoom) listen(needed bool) (err error) {
	r.socket, err = adminsock.Listen(filepath.Join(r.config.Data, adminsock.FileName), r)
	if err != nil && !needed {
		r.log.Warn("there is no admin socket", "err", err)
		return nil
	}
	return err
}

func (r *vaultRoom) open(ctx context.Context, c *host.Config) error {
	r.mu.Lock()
	keyring := r.keyring
	r.mu.Unlock()
	p, err := openProviders(*c, keyring)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.providers = p
	r.mu.Unlock()
	if keyring.Clear() {
		r.log.Warn("the master keys lie in the clear; that is for development. Wrap them with: pointsman secret keys protect", "keyring", c.KeyringPath())
	}
	for _, word := range p.clear {
		r.log.Warn("secrets lie in the clear; that is for development", "provider", word)
	}
	for _, v := range p.vaults {
		v.Start()
	}
	for missing := p.missing(); len(missing) > 0; missing = p.missing() {
		r.log.Warn("waiting for secrets; give them with: pointsman secret set NAME --memory", "missing", missing)
		select {
		case <-r.given:
		case <-ctx.Done():
			return errStopped
		}
	}
	c.Keys, c.Secrets = keyring, p.chain
	return nil
}

// State implements adminsock.Handler.
func (r *vaultRoom) State() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.keyring == nil:
		return stateSealed
	case r.providers == nil || len(r.providers.missing()) > 0:
		return stateWaiting
	}
	return stateOpen
}

// Unseal implements adminsock.Handler. The try is recorded before the passphrase is.
func (r *vaultRoom) Unseal(ctx context.Context, who string, passphrase []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keyring != nil {
		return errors.New("the broker is not sealed")
	}
	return recordedBy(ctx, r.config, who, "secret.unseal", "keyring", func() error {
		own := append([]byte(nil), passphrase...) // UnlockKeyring wipes what it gets
		k, err := secret.UnlockKeyring(ctx, r.config.KeyringPath(), secret.Unlock{Passphrase: func() ([]byte, error) { return own, nil }})
		if err != nil {
			return err
		}
		r.keyring = k
		close(r.unsealed)
		return nil
	})
}

// PutSecret implements adminsock.Handler.
func (r *vaultRoom) PutSecret(ctx context.Context, who, name string, value []byte, expires time.Time, overlap time.Duration) error {
	r.mu.Lock()
	p := r.providers
	r.mu.Unlock()
	switch {
	case p == nil:
		return errors.New("the broker is not ready yet; unseal it first")
	case p.memory == nil:
		return errors.New("the broker keeps no secrets in memory; start it with memory among its --secrets")
	}
	if taken, err := p.taken(name); err != nil || taken {
		return errors.Join(err, fmt.Errorf("secret %.80q: %w", name, secret.ErrAmbiguous))
	}
	return recordedBy(ctx, r.config, who, "secret.memory", name, func() error {
		if err := p.memory.Put(name, append([]byte(nil), value...), secret.Terms{Expires: expires, Overlap: overlap}); err != nil {
			return err
		}
		select {
		case r.given <- struct{}{}:
		default: // one is noted already
		}
		return nil
	})
}

func (r *vaultRoom) close() error {
	var err error
	if r.socket != nil {
		ctx, cancel := context.WithTimeout(context.Background(), socketTime)
		defer cancel()
		err = r.socket.Close(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.providers != nil {
		r.providers.close()
	}
	return err
}

// prepareState makes the data folder, and a keyring where there is none yet.
func prepareState(c host.Config) error {
	if err := harden(); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(c.KeyringPath()); os.IsNotExist(err) {
		return createKeyring(c)
	}
	return nil
}
