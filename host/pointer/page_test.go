package pointer_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"pointsman/host/broker"
	"pointsman/host/manifest"
	"pointsman/host/pointer"
)

// TestPointersPage runs docs/POINTERS.md: its manifests load, the pointers in its table are
// those that are minted, and the epochs of its domain do what the page says of them.
func TestPointersPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/POINTERS.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(string(page))
	if example == nil {
		t.Fatal("there is no example of manifests")
	}
	set, faults := manifest.Load(fstest.MapFS{"a.yaml": {Data: []byte(example[1])}})
	if faults.HasErrors() {
		t.Fatal(faults.Err())
	}
	var domains []pointer.Domain
	for _, d := range set.Domains {
		domains = append(domains, pointer.Domain{Name: d.Name, Epoch: d.Epoch, Accept: d.Accept, Ephemeral: d.Ephemeral})
	}
	if len(domains) != 2 {
		t.Fatalf("%d domains, want customer and visit", len(domains))
	}
	keyOf := fixedKeys(t)
	now := issuer(t, keyOf, domains...)
	rows := regexp.MustCompile("(?m)^\\| (\\w+) \\| (\\d+) \\| (\\S+) \\| `(\\S+)` \\|$").FindAllStringSubmatch(string(page), -1)
	if len(rows) != 3 {
		t.Fatalf("%d rows with pointers, want 3", len(rows))
	}
	for _, row := range rows {
		sector, id, text := broker.Sector(row[1]), row[3], row[4]
		epoch, err := strconv.Atoi(row[2])
		if err != nil {
			t.Fatal(err)
		}
		if got := mint(t, issuer(t, keyOf, pointer.Domain{Name: "customer", Epoch: epoch}), "customer", sector, id); got != text {
			t.Errorf("the page says %s, minted is %s", text, got)
		}
		if got, err := now.Resolve("customer", sector, text); err != nil || got != id {
			t.Errorf("%s resolves to %q, %v, want %s: both epochs are accepted", text, got, err, id)
		}
		current := mint(t, now, "customer", sector, id)
		if got, err := now.Rewrap(sector, text); err != nil || got != current {
			t.Errorf("%s is traded for %q, %v, want %s", text, got, err, current)
		}
		ended := issuer(t, keyOf, pointer.Domain{Name: "customer", Epoch: 3, Accept: []int{2}})
		if _, err := ended.Resolve("customer", sector, text); (err == nil) != (epoch == 2) {
			t.Errorf("%s of epoch %d, where 1 has ended: %v", text, epoch, err)
		}
	}
	if visit := mint(t, now, "visit", shop, "4711"); !strings.HasPrefix(visit, "ptr_visit_AA") {
		t.Errorf("an ephemeral one is %s", visit)
	}
}
