package manifest

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

func pluginSpec() form[Plugin] {
	module := object(Module{}, nil,
		required(key("path", file(".wasm"), "the module, relative to the manifests' root", func(m *Module) *string { return &m.Path })),
		key("sha256", digest(), "SHA-256 of the file; pins what may be deployed", func(m *Module) *string { return &m.SHA256 }))
	return object(Plugin{}, nil,
		required(key("module", module, "which Wasm module", func(p *Plugin) *Module { return &p.Module })),
		grantsField(),
		key("input", paths(), "what of a step's input reaches the plugin; all of it unless written", func(p *Plugin) *Paths { return &p.Input }),
		key("output", paths(), "what of its output leaves; all of it unless written", func(p *Plugin) *Paths { return &p.Output }),
		key("clear", labelList(), "labels that its output may carry", func(p *Plugin) *[]string { return &p.Clear }),
		key("declassify", labelList(), "labels that its output no longer carries, because the plugin takes out what they stand for", func(p *Plugin) *[]string { return &p.Declassify }),
		key("callableBy", list(0, 50, using(useCaller, name(plainName)), itself), "plugins that may call its functions", func(p *Plugin) *[]string { return &p.CallableBy }),
		key("limits", pluginLimits(), "bounds on one call, and on all at once", func(p *Plugin) *PluginLimits { return &p.Limits }),
		key("config", named(configName, 100, free(maxText)), "settings that the plugin reads; no secrets", func(p *Plugin) *map[string]string { return &p.Config }))
}

// maxFuel is the most units of fuel that can be written: the largest number of ten digits,
// which is how many a whole number may have. Beyond it, time alone is the bound.
const maxFuel = 9_999_999_999

// maxConcurrency is the most calls of one plugin at once: each takes 4 MiB for the kernel
// alone (host/sandbox), which makes 4 GiB.
const maxConcurrency = 1024

func pluginLimits() form[PluginLimits] {
	return object(PluginLimits{}, checkPluginLimits,
		key("memory", size[uint64](64<<10, 1<<30), "memory of one instance", func(l *PluginLimits) *uint64 { return &l.Memory }),
		key("time", duration(time.Millisecond, MaxDeadline), "the longest that one call may take", func(l *PluginLimits) *time.Duration { return &l.Time }),
		key("fuel", number(100_000, maxFuel), "units of computing for one call; as many as fit into time unless written", func(l *PluginLimits) *int { return &l.Fuel }),
		key("calls", number(1, 1_000_000), "operations of powers in one call, log lines too", func(l *PluginLimits) *int { return &l.Calls }),
		key("output", size[int64](1, 64<<20), "the longest output of one call", func(l *PluginLimits) *int64 { return &l.Output }),
		key("concurrency", number(1, maxConcurrency), "calls at once; 32 unless written", func(l *PluginLimits) *int { return &l.Concurrency }),
		key("reserved", number(1, maxConcurrency), "instances whose memory is kept for this plugin; 1 unless written", func(l *PluginLimits) *int { return &l.Reserved }))
}

func checkPluginLimits(r *reader, n *yaml.Node, at string, l *PluginLimits) {
	if most := cmp.Or(l.Concurrency, DefaultConcurrency); l.Reserved > most {
		r.add(child(n, "reserved"), join(at, "reserved"), codeContradiction, "", "%d instances are reserved, and %d calls may run at once", l.Reserved, most)
	}
}

func grantsField() field[Plugin] {
	f := grantsForm()
	return field[Plugin]{
		name: "grants", doc: "what the plugin is lent, and no more", schema: f.schema,
		read: func(r *reader, n *yaml.Node, at string, p *Plugin) {
			g := f.read(r, n, at)
			p.HTTPGrants, p.SQLGrants, p.KVGrant = g.HTTP, g.SQL, g.KV
			p.CallGrants, p.PointerGrants, p.ParcelGrant, p.LogGrant = g.Call, g.Pointer, g.Parcel, g.Log
			written, _ := f.write(g).(schema)
			for capability, grant := range written {
				if p.Grants == nil {
					p.Grants = map[string]json.RawMessage{}
				}
				p.Grants[capability] = marshal(grant)
			}
		},
		write: func(p *Plugin) any {
			if len(p.Grants) == 0 {
				return nil
			}
			return p.Grants
		},
	}
}

var digestText = regexp.MustCompile(`^[0-9a-f]{64}$`)

// digest is a SHA-256 in hex.
func digest() form[string] {
	return word("a SHA-256 in hexadecimal", schema{"pattern": digestText.String()}, func(s string) (string, *problem) {
		if digestText.MatchString(s) {
			return s, nil
		}
		near := strings.ToLower(strings.TrimPrefix(s, "sha256:"))
		if !digestText.MatchString(near) {
			near = ""
		}
		return "", problemf(codeDigest, near, "expected 64 lower-case hexadecimal digits")
	}, itself)
}
