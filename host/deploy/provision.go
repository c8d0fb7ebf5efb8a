package deploy

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"pointsman/host/broker"
	"pointsman/host/capability"
	"pointsman/host/consumer"
	"pointsman/host/egress"
	"pointsman/host/manifest"
	"pointsman/host/pipeline"
	"pointsman/host/pointer"
	"pointsman/host/sandbox"
	"pointsman/host/sqldb"
	"pointsman/host/view"
)

// build makes a release out of src: valid, with its back ends open, its modules compiled
// and its routes planned. What fails half-way is closed again.
func (d *Deployer) build(ctx context.Context, src Source, number uint64) (*Release, error) {
	draft, faults := newDraft(src, d.parts.Gate(Systems{}).Names(), d.parts.Inspect)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	for _, f := range faults {
		d.parts.Log.Warn("manifest", "fault", f.Error())
	}
	r := &Release{
		number: number, digest: draft.set.Digest(), keys: d.parts.Keys, log: d.parts.Log, record: d.parts.Audit,
		plugins: map[string]*plugin{}, backends: map[string]*egress.Backend{}, labels: map[string]view.Labels{}, databases: map[string]*sqldb.DB{},
		rates: map[broker.PrincipalID]consumer.Rate{}, idle: make(chan struct{}),
	}
	r.refs.Store(1)
	var live *consumer.Directory
	if old := d.live.Load(); old != nil {
		live = old.directory
	}
	r.directory = consumer.NewDirectory(definitions(draft.set.Consumers), live)
	for _, c := range draft.set.Consumers {
		r.rates[broker.PrincipalID(c.Name)] = rateOf(c.Rate)
	}
	var err error
	if r.pointers, err = d.issuer(draft.set.Domains); err != nil {
		return nil, errors.Join(fmt.Errorf("pointers: %w", err), r.close(ctx))
	}
	faults = append(d.openBackends(r, src, draft), d.compile(ctx, r, draft)...)
	faults = append(faults, d.overBudget(draft.set)...)
	faults = append(faults, d.openDoor(r, src, draft.set)...)
	if err := context.Cause(ctx); err != nil { // what was not compiled for that is no fault
		return nil, errors.Join(err, r.close(ctx))
	}
	sortFaults(faults)
	if err := faults.Err(); err != nil {
		return nil, errors.Join(err, r.close(ctx))
	}
	for _, m := range draft.set.Routes {
		route, err := newRoute(r, m)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("route %s: %w", m.Name, err), r.close(ctx))
		}
		r.routes.add(route)
	}
	return r, nil
}

// pointerLabels are the labels of what the pointers of a domain point at: those of the
// parameters that are such pointers.
func pointerLabels(set *manifest.Set) map[string]broker.Labels {
	labels := map[string]broker.Labels{}
	for _, r := range set.Routes {
		for _, p := range r.Params {
			if p.Pointer != "" && p.Label != "" {
				labels[p.Pointer] = labels[p.Pointer].Union(broker.NewLabels(p.Label))
			}
		}
	}
	return labels
}

// issuer is what mints and resolves the pointers of domains; nil for none.
func (d *Deployer) issuer(domains []*manifest.Domain) (*pointer.Issuer, error) {
	if len(domains) == 0 {
		return nil, nil
	}
	list := make([]pointer.Domain, len(domains))
	for i, m := range domains {
		list[i] = pointer.Domain{Name: m.Name, Epoch: m.Epoch, Accept: m.Accept, Ephemeral: m.Ephemeral}
	}
	return d.parts.Pointers(list)
}

// compile compiles the plugins, as many at once as there are processors. One whose back
// end could not be opened is left out: that is a fault already.
func (d *Deployer) compile(ctx context.Context, r *Release, draft *draft) manifest.Faults {
	var (
		gate   = d.parts.Gate(Systems{HTTP: r.backends, Labels: r.labels, SQL: r.databases, Calls: calls{r}, Pointers: r.pointers, PointerLabels: pointerLabels(draft.set)})
		places = placesOf(draft.set)
		slots  = make(chan struct{}, runtime.GOMAXPROCS(0))
		group  sync.WaitGroup
		mu     sync.Mutex
		faults manifest.Faults // guarded by mu, as is r.plugins
	)
	for name, dp := range draft.plugins {
		if !r.opened(dp.manifest) {
			continue
		}
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			p, fs := d.compileOne(ctx, gate, name, dp, places[name])
			mu.Lock()
			defer mu.Unlock()
			if p == nil {
				faults = append(faults, fs...)
				return
			}
			r.plugins[name] = p
		})
	}
	group.Wait()
	return faults
}

// opened reports whether every back end that m is granted is open.
func (r *Release) opened(m *manifest.Plugin) bool {
	return !slices.ContainsFunc(m.HTTPGrants, func(g manifest.HTTPGrant) bool { return r.backends[g.Backend] == nil }) &&
		!slices.ContainsFunc(m.SQLGrants, func(g manifest.SQLGrant) bool { return r.databases[g.Backend] == nil })
}

func (d *Deployer) compileOne(ctx context.Context, gate *capability.Gate, name string, dp *draftPlugin, at place) (p *plugin, faults manifest.Faults) {
	defer func() {
		if v := recover(); v != nil { // the module is a stranger's; what runs must not fall with it
			d.parts.Log.Error("compiling a module panicked", "plugin", name, "err", v, "stack", string(debug.Stack()))
			p, faults = nil, pluginFaults(dp.manifest, CodeCompile, "spec.module", errors.New("the engine broke down over it"))
		}
	}()
	imports, err := gate.Lend(dp.grant)
	if err != nil {
		return nil, pluginFaults(dp.manifest, CodeGrant, "spec.grants", err)
	}
	shape, err := shapeOf(dp.manifest)
	if err != nil {
		return nil, pluginFaults(dp.manifest, CodeGrant, "spec", err)
	}
	module, err := d.parts.Engine.Compile(ctx, dp.module, sandbox.Terms{
		Imports: timed(imports), Config: dp.manifest.Config, Limits: limitsOf(dp.manifest),
	})
	if err != nil {
		return nil, pluginFaults(dp.manifest, CodeCompile, "spec.module", err)
	}
	return &plugin{
		name: name, digest: digest(dp.module), grant: dp.grant, module: module,
		time: dp.manifest.Limits.Time, guard: d.newGuard(dp.manifest, at),
		called: d.newCalled(dp.manifest, at), functions: dp.functions(), shape: shape, opens: opensOf(dp.manifest),
	}, nil
}

func newRoute(r *Release, m *manifest.Route) (*Route, error) {
	plan, err := pipeline.Compile(m, takers{r})
	if err != nil {
		return nil, err
	}
	answer, err := newAnswer(m)
	if err != nil {
		return nil, err
	}
	params, err := newParams(m.Params)
	if err != nil {
		return nil, err
	}
	return &Route{
		release: r, name: m.Name, method: m.Method, template: m.Path, scopes: m.Scopes,
		deadline: m.Deadline, params: params, plan: plan, answer: answer,
	}, nil
}

func definitions(consumers []*manifest.Consumer) []consumer.Definition {
	list := make([]consumer.Definition, len(consumers))
	for i, c := range consumers {
		list[i] = consumer.Definition{
			ID: broker.PrincipalID(c.Name), Sector: broker.Sector(c.Sector), Scopes: c.Scopes,
			APIKey: c.APIKey, Rate: rateOf(c.Rate), Subjects: rateOf(c.Subjects),
		}
	}
	return list
}

func rateOf(r *manifest.Rate) consumer.Rate {
	if r == nil {
		return consumer.Rate{}
	}
	return consumer.Rate{Count: r.Count, Per: r.Per}
}
