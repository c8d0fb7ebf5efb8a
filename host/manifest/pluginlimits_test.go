package manifest_test

import (
	"testing"
	"testing/fstest"
	"time"

	"pointsman/host/manifest"
)

// TestPluginLimits: what is written is read, and the canonical form says the same; what is
// not written is zero and not in it.
func TestPluginLimits(t *testing.T) {
	const head = "apiVersion: pointsman/v1\nkind: Plugin\nmetadata: {name: p}\nspec: {module: {path: p.wasm}"
	tests := []struct {
		name, text, canonical string
		want                  manifest.PluginLimits
	}{
		{"nothing", "", "", manifest.PluginLimits{}},
		{"everything", ", limits: {reserved: 2, concurrency: 8, output: 2MiB, calls: 64, fuel: 5000000, time: 1s, memory: 32MiB}",
			`"limits":{"calls":64,"concurrency":8,"fuel":5000000,"memory":"32MiB","output":"2MiB","reserved":2,"time":"1s"},`,
			manifest.PluginLimits{Memory: 32 << 20, Time: time.Second, Fuel: 5_000_000, Calls: 64, Output: 2 << 20, Concurrency: 8, Reserved: 2}},
		{"as many reserved as run by default", ", limits: {reserved: 32}", `"limits":{"reserved":32},`, manifest.PluginLimits{Reserved: 32}},
		{"the least", ", limits: {concurrency: 1, reserved: 1, calls: 1, fuel: 100000, output: 1}",
			`"limits":{"calls":1,"concurrency":1,"fuel":100000,"output":"1","reserved":1},`,
			manifest.PluginLimits{Concurrency: 1, Reserved: 1, Calls: 1, Fuel: 100_000, Output: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, faults := manifest.Load(fstest.MapFS{"p.yaml": &fstest.MapFile{Data: []byte(head + tt.text + "}\n")}})
			if faults.HasErrors() {
				t.Fatal(faults)
			}
			if got := set.Plugins[0].Limits; got != tt.want {
				t.Errorf("limits %+v, want %+v", got, tt.want)
			}
			want := `{"apiVersion":"pointsman/v1","kind":"Plugin","metadata":{"name":"p"},"spec":{` + tt.canonical + `"module":{"path":"p.wasm"}}}`
			if got := string(set.Documents()[0].JSON); got != want {
				t.Errorf("canonical form\n got %s\nwant %s", got, want)
			}
		})
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "65536": 65536, "4KiB": 4096, "32MiB": 32 << 20, "8GiB": 8 << 30} {
		if got, err := manifest.ParseSize(text); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
		if back, err := manifest.ParseSize(manifest.FormatSize(want)); err != nil || back != want {
			t.Errorf("%d is written %s", want, manifest.FormatSize(want))
		}
	}
	for _, text := range []string{"", "0", "-1", "1 MiB", "1MB", "1.5GiB", "GiB", "0x10", "999999999999GiB", "1TiB", "+1"} {
		if got, err := manifest.ParseSize(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}
