// Package host owns the wiring: this file names every part of the broker and hands each
// what it needs.
package host

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"pointsman/host/admission"
	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/callcap"
	"pointsman/host/capability/httpcap"
	"pointsman/host/capability/kvcap"
	"pointsman/host/capability/logcap"
	"pointsman/host/capability/parcelcap"
	"pointsman/host/capability/pointercap"
	"pointsman/host/capability/sqlcap"
	"pointsman/host/consumer"
	"pointsman/host/credential"
	"pointsman/host/deploy"
	"pointsman/host/kv"
	"pointsman/host/pointer"
	"pointsman/host/rest"
	"pointsman/host/sandbox"
	"pointsman/host/secret"
)

// Config says where the broker's state is and how it is reached.
type Config struct {
	// Data is the folder of everything that the broker keeps: sealed secrets, hashes of
	// consumer keys, the audit log, compiled modules. It is made if it is not there.
	Data string
	// Keyring is the file of the master keys; empty means DATA/keyring.json. Keep it on
	// another disk than Data's backups.
	Keyring string
	// Unlock says where what opens a wrapped keyring is, and Providers who provides secrets;
	// both in the words of the command line, for who opens Keys and Secrets.
	Unlock, Providers string
	// Keys and Secrets are the opened keyring and providers. New opens a keyring in the clear
	// and the store in Data where they are nil.
	Keys    *secret.Keyring
	Secrets Secrets
	// TLS of the consumer listener. Either it or Plain must be set.
	TLS *tls.Config
	// Plain means HTTP without TLS, for a gateway on the same machine that speaks it.
	Plain bool
	// CompileWorker says that this program calls sandbox.CompileWorker before anything else;
	// see sandbox.CompilerOptions.Worker.
	CompileWorker bool
	// Engine is what runs plugins; see sandbox.Options.Engine. "" takes the best that works.
	Engine string
	// Databases is the folder that the SQLite files of back ends lie in; "" means that there
	// is none.
	Databases string
	// SandboxMemory is how many bytes all sandboxes together may take, outside of Go's heap;
	// 0 means half of what the process may use: see admission.DefaultBudget.
	SandboxMemory uint64
	// Pages is what sandbox.FindPages returned before the process made itself undumpable; nil
	// in a process that does not.
	Pages *sandbox.Pages
	Log   *slog.Logger
}

// Secrets opens secrets by name; secret.Chain and secret.Store do.
type Secrets interface {
	Get(name string) (secret.Value, error)
}

// open returns the keyring and the secrets that c names.
func (c Config) open() (_ *secret.Keyring, _ Secrets, err error) {
	keyring, secrets := c.Keys, c.Secrets
	if keyring == nil {
		if keyring, err = secret.OpenKeyring(c.KeyringPath(), false); err != nil {
			return nil, nil, fmt.Errorf("open the keyring: %w", err)
		}
	}
	if secrets == nil {
		if secrets, err = secret.OpenStore(c.Data, keyring); err != nil {
			return nil, nil, fmt.Errorf("open the secrets: %w", err)
		}
	}
	return keyring, secrets, nil
}

// KeyringPath is the file of the master keys.
func (c Config) KeyringPath() string {
	if c.Keyring != "" {
		return c.Keyring
	}
	return filepath.Join(c.Data, "keyring.json")
}

// KeptDir is where in a data folder what plugins keep lies.
func KeptDir(data string) string { return filepath.Join(data, "kv") }

// Host is a broker: every part, wired. Safe for concurrent use.
type Host struct {
	log      *slog.Logger
	audit    *audit.Log
	engine   sandbox.Engine
	values   *kv.Store
	sweeping func() // ends it
	deployer *deploy.Deployer
	server   *rest.Server
}

// New wires a broker on the state in c.Data, which must hold a keyring. It serves nothing
// before Apply and Serve.
func New(c Config) (*Host, error) {
	keyring, secrets, err := c.open()
	if err != nil {
		return nil, err
	}
	keys, err := consumer.OpenKeys(c.Data, keyring.MAC)
	if err != nil {
		return nil, fmt.Errorf("open the consumers' keys: %w", err)
	}
	compiler, err := sandbox.NewCompiler(sandbox.CompilerOptions{
		Dir: filepath.Join(c.Data, "compiled"), MAC: keyring.MAC, Worker: c.CompileWorker, Log: c.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("start the sandbox engine: %w", err)
	}
	engine, err := sandbox.New(sandbox.Options{
		Engine: c.Engine, Log: c.Log, Logger: guestLog{c.Log}, Compiler: compiler, Pages: c.Pages,
	})
	if err != nil {
		return nil, fmt.Errorf("start the sandbox engine: %w", err)
	}
	record, err := audit.Open(c.Data, audit.Options{})
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	c.Log.Info("plugins run on an engine", "engine", engine.Name())
	from := "configured"
	if c.SandboxMemory == 0 {
		c.SandboxMemory, from = admission.DefaultBudget(os.DirFS("/"))
	}
	c.Log.Info("sandboxes have a budget of memory", "bytes", c.SandboxMemory, "from", from)
	values, err := kv.Open(context.Background(), KeptDir(c.Data), kv.Options{Keyring: keyring})
	if err != nil {
		return nil, errors.Join(err, record.Close())
	}
	h := &Host{log: c.Log, audit: record, engine: engine, values: values, sweeping: sweep(values, c.Log)}
	ephemeral := new(pointer.Ephemeral) // outlives releases, so that its pointers do
	h.deployer = deploy.New(deploy.Parts{
		Engine: engine,
		Credential: func(name string) (credential.Secret, error) {
			value, err := secrets.Get(name)
			if err != nil {
				return nil, err // not a nil Value inside a Credential that is not nil
			}
			return value, nil
		},
		Keys:  keys,
		Audit: record,
		Gate: func(s deploy.Systems) *capability.Gate {
			return &capability.Gate{Capabilities: Capabilities(c.Log, s, values), Recorder: record, Fault: h.fault}
		},
		Pointers: func(domains []pointer.Domain) (*pointer.Issuer, error) {
			return pointer.NewIssuer(domains, func(epoch int) (pointer.Cipher, error) {
				key, err := keyring.Pointers(epoch)
				if err != nil {
					return nil, err // not a nil key inside a Cipher that is not nil
				}
				return key, nil
			}, ephemeral)
		},
		Databases: c.Databases,
		Memory:    c.SandboxMemory, Inspect: compiler.Inspect, Log: c.Log,
	})
	h.server, err = rest.New(rest.Options{
		Broker: front{h.deployer}, Recorder: record, TLS: c.TLS, Plain: c.Plain, Log: c.Log,
	})
	if err != nil {
		h.sweeping()
		return nil, errors.Join(err, values.Close(), record.Close())
	}
	return h, nil
}

// sweep has values whose time is over taken away until the function that it returns is called,
// which waits for the end of it.
func sweep(values *kv.Store, log *slog.Logger) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		values.Run(ctx, func(err error) { log.Warn("the plugins' values were not swept", "err", err) })
	}()
	return func() { cancel(); <-done }
}

// Capabilities is every power that a plugin can be lent, in the order of the manual. values
// are what plugins keep; nil will do for asking what could be lent.
func Capabilities(log *slog.Logger, s deploy.Systems, values *kv.Store) []capability.Capability {
	return []capability.Capability{
		&httpcap.HTTP{Backends: s.HTTP, Labels: s.Labels},
		&sqlcap.SQL{Databases: s.SQL},
		&kvcap.KV{Store: values},
		&callcap.Call{Callee: s.Calls},
		&parcelcap.Parcel{},
		&pointercap.Pointer{Pointers: s.Pointers, Yields: s.PointerLabels},
		&logcap.Log{Sink: guestLog{log}},
	}
}

// Offered are the names of those powers.
func Offered() []string {
	gate := capability.Gate{Capabilities: Capabilities(nil, deploy.Systems{}, nil)}
	return gate.Names()
}

// Lendable is every host function that a plugin could be lent, for looking at modules; a
// call of one is refused.
func Lendable() []sandbox.Import {
	gate := capability.Gate{Capabilities: Capabilities(nil, deploy.Systems{}, nil)}
	return gate.Lendable()
}

// Apply makes src the live release; see deploy.Deployer.
func (h *Host) Apply(ctx context.Context, by broker.Principal, src deploy.Source) error {
	return h.deployer.Apply(ctx, by, src)
}

// Serve answers consumers on l until Close.
func (h *Host) Serve(l net.Listener) error { return h.server.Serve(l) }

// RecordErr is why nothing can be recorded any more, nil while it can. A Host that cannot
// record serves nothing.
func (h *Host) RecordErr() error { return h.audit.Err() }

// Close stops accepting, lets running requests end until ctx does, and frees everything.
func (h *Host) Close(ctx context.Context) error {
	err := errors.Join(h.server.Shutdown(ctx), h.deployer.Close(ctx))
	h.sweeping()
	err = errors.Join(err, h.values.Close(), h.audit.Close())
	if engine, ok := h.engine.(io.Closer); ok {
		err = errors.Join(err, engine.Close())
	}
	return err
}

// fault logs what a plugin is not told.
func (h *Host) fault(call broker.Call, resource string, err error) {
	h.log.Warn("use of a power failed", "call", call.Request, "route", call.Route,
		"plugin", call.Plugin, "resource", resource, "err", err)
}

// stopTime is how long a broker that was told to stop lets requests finish.
// SECURITY-RULES: bounded by 15 s.
const stopTime = 15 * time.Second

// StopContext bounds Close as an operator expects it.
func StopContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), stopTime)
}
