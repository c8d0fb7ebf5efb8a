// Package deploy owns the way from manifests to what runs: parse, approve, compile,
// provision, record, swap, drain. There is no second way to change what runs.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pointsman/host/admission"
	"pointsman/host/audit"
	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/capability/callcap"
	"pointsman/host/consumer"
	"pointsman/host/credential"
	"pointsman/host/egress"
	"pointsman/host/pointer"
	"pointsman/host/sandbox"
	"pointsman/host/sqldb"
	"pointsman/host/view"
	"pointsman/host/wasm"
)

// drainTime is how long an old release may finish its requests: the longest deadline that
// a route may have (host/manifest) and as long again for those that had just begun.
const drainTime = 60 * time.Second

// Parts are what a Deployer builds releases from. All are required unless marked.
type Parts struct {
	Engine sandbox.Engine
	// Credential returns a secret by name; it is asked at every use, so that a rotated
	// value is taken up at once, and once at deployment, so that a missing one is found.
	Credential func(name string) (credential.Secret, error)
	Keys       *consumer.Keys
	Audit      *audit.Log
	// Gate lends the powers that plugins of a release with these systems can have.
	Gate func(Systems) *capability.Gate
	// Pointers returns what mints and resolves the pointers of domains. nil will do where no
	// release has domains.
	Pointers func(domains []pointer.Domain) (*pointer.Issuer, error)
	// Databases is the folder of SQLite files; "" means that there is none.
	Databases string
	// Memory is how many bytes all sandboxes together may take, of all releases that run.
	// With none, no release that has plugins is deployed.
	Memory uint64
	// Inspect reads a module, as wasm.Inspect does; nil means that. One that remembers makes
	// deploying an unchanged module cheap.
	Inspect func(module []byte) (*wasm.Info, error)
	Log     *slog.Logger
}

// Systems are what the powers of one release's plugins reach, by the admin's names. The zero
// Systems is what there is before anything is opened: good for asking what could be lent.
type Systems struct {
	HTTP          map[string]*egress.Backend
	Labels        map[string]view.Labels // of back ends' answers; for statements see their database
	SQL           map[string]*sqldb.DB
	Pointers      *pointer.Issuer          // nil when there are no domains
	PointerLabels map[string]broker.Labels // of what a domain's pointers point at
	Calls         callcap.Callee           // runs the functions of the release's plugins
}

// Source is where a release comes from.
type Source struct {
	Manifests fs.FS // *.yaml at any depth, and the files that they name, such as CA bundles
	Modules   fs.FS // what spec.module.path of a plugin is looked up in
}

// Deployer holds the live release and replaces it. Safe for concurrent use.
type Deployer struct {
	parts  Parts
	memory *admission.Memory
	live   atomic.Pointer[Release]
	// sessions are shared by the releases that run; see there.
	sessions sessions

	applying sync.Mutex // one deployment at a time
	number   uint64     // guarded by applying
	drains   sync.WaitGroup

	open     span // until Close begins: deployments
	patience span // until the time of Close is up: drains
}

// span is a stretch of a Deployer's life.
type span struct {
	ctx context.Context
	end context.CancelFunc
}

func newSpan() span {
	ctx, cancel := context.WithCancel(context.Background())
	return span{ctx, cancel}
}

// ErrClosed is why nothing is deployed after Close.
var ErrClosed = errors.New("deploy: closed")

// New returns a Deployer without a release: every request is answered Unavailable.
func New(parts Parts) *Deployer {
	if parts.Inspect == nil {
		parts.Inspect = wasm.Inspect
	}
	return &Deployer{parts: parts, memory: admission.NewMemory(parts.Memory), open: newSpan(), patience: newSpan()}
}

// Check builds the release that src describes, as Apply would, and throws it away. It
// returns every fault found, as manifest.Faults where they have a place.
func (d *Deployer) Check(ctx context.Context, src Source) error {
	r, err := d.build(ctx, src, 0)
	if err != nil {
		return err
	}
	return r.close(ctx)
}

// Apply makes src the live release. When it returns an error, what ran before runs on.
// Close stops an Apply that runs; after it, the error is ErrClosed.
func (d *Deployer) Apply(ctx context.Context, by broker.Principal, src Source) error {
	d.applying.Lock()
	defer d.applying.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.open.ctx, func() { cancel(ErrClosed) })()
	if d.open.ctx.Err() != nil {
		return ErrClosed
	}
	next, err := d.build(ctx, src, d.number+1)
	if err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return errors.Join(err, next.close(ctx))
	}
	if err := d.record(ctx, by, next); err != nil {
		return errors.Join(fmt.Errorf("record the deployment: %w", err), next.close(ctx))
	}
	d.number = next.number
	old := d.swap(next)
	next.door.start(d.parts.Log)
	d.parts.Log.Info("release is live", "release", next.number, "digest", next.digest,
		"plugins", len(next.plugins), "routes", next.routes.count)
	d.drain(old)
	return nil
}

// swap makes next live, nil for none, and returns what was. The reservations of next count
// from here on and those of the old release no more; calls that run are not touched.
func (d *Deployer) swap(next *Release) (old *Release) {
	old = d.live.Swap(next)
	d.memory.Swap(old.shares(), next.shares())
	return old
}

// record writes down who deploys what, before it has an effect: every plugin whose module
// or grant is not that of the live release, then the release.
func (d *Deployer) record(ctx context.Context, by broker.Principal, next *Release) error {
	live := map[string]*plugin{}
	if old := d.live.Load(); old != nil {
		live = old.plugins
	}
	for _, name := range slices.Sorted(maps.Keys(next.plugins)) {
		p := next.plugins[name]
		if was, ok := live[name]; ok && was.digest == p.digest && was.grant.Digest() == p.grant.Digest() {
			continue
		}
		if err := d.parts.Audit.Control(ctx, audit.Control{
			Actor: string(by.ID), Action: "approve", Object: "plugin " + name,
			Detail: map[string]string{"module": p.digest, "grant": p.grant.Digest(), "capabilities": strings.Join(p.grant.Capabilities(), " ")},
		}); err != nil {
			return err
		}
	}
	return d.parts.Audit.Control(ctx, audit.Control{
		Actor: string(by.ID), Action: "apply", Object: "release " + strconv.FormatUint(next.number, 10),
		Detail: map[string]string{"manifests": next.digest, "plugins": strconv.Itoa(len(next.plugins))},
	})
}

// Acquire pins the live release until the returned function is called; it must be called
// once. Without a release it returns nil and a function that does nothing.
func (d *Deployer) Acquire() (*Release, func()) {
	for {
		r := d.live.Load()
		if r == nil {
			return nil, func() {}
		}
		if r.enter() {
			return r, r.leave
		}
		// r was swapped out between the load and here; the next one is there already.
	}
}

// drain closes old when its last request has ended.
func (d *Deployer) drain(old *Release) {
	if old == nil {
		return
	}
	d.drains.Go(func() {
		ctx, cancel := context.WithTimeout(d.patience.ctx, drainTime)
		defer cancel()
		if err := old.close(ctx); err != nil {
			d.parts.Log.Error("release did not drain", "release", old.number, "err", err)
			return
		}
		d.parts.Log.Info("release drained", "release", old.number)
	})
}

// Close takes the live release away and waits until it and its predecessors have drained.
// When ctx ends first, the guests that still run are stopped. A second Close does nothing.
func (d *Deployer) Close(ctx context.Context) error {
	d.open.end()
	d.applying.Lock()
	defer d.applying.Unlock()
	defer context.AfterFunc(ctx, d.patience.end)()
	var err error
	if old := d.swap(nil); old != nil {
		err = old.close(ctx)
	}
	d.drains.Wait()
	return err
}
