package sandbox_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"pointsman/host/sandbox"
)

// mappings counts those of images.
func mappings(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "memfd:pointsman-image")
}

func TestCloseGivesBack(t *testing.T) {
	maps, fds := mappings(t), descriptors(t)
	for range 3 {
		e, err := sandbox.New(sandbox.Options{Engine: "snapshot"})
		if err != nil {
			t.Fatal(err)
		}
		m, err := e.Compile(context.Background(), testModule(t, "residue"), sandbox.Terms{Imports: []sandbox.Import{okHTTP}})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if _, err := m.Call(context.Background(), "dirty", nil); err != nil {
					t.Error(err)
				}
				if _, err := m.Call(context.Background(), "peek", nil); kind(err) != sandbox.ABI {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		number(t, m, "scan") // leaves an instance, however many broke off
		if mappings(t) == maps || e.(*sandbox.Snapshot).MostMemory() == 0 {
			t.Error("an image is mapped nowhere")
		}
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if n := e.(*sandbox.Snapshot).MostMemory(); n != 0 {
			t.Errorf("instances of %d bytes are left", n)
		}
		if err := e.(*sandbox.Snapshot).Close(); err != nil {
			t.Error(err)
		}
	}
	if n := mappings(t); n != maps {
		t.Errorf("%d mappings of images, before %d", n, maps)
	}
	if n := descriptors(t); n != fds {
		t.Errorf("%d descriptors, before %d", n, fds)
	}
}
