package sandbox_test

import (
	"context"
	"testing"

	"pointsman/host/sandbox"
)

func TestSelfTest(t *testing.T) {
	pages := sandbox.FindPages()
	e, err := sandbox.NewSnapshot(sandbox.SnapshotOptions{Pages: pages})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(pages.Way())
	if err := e.SelfTest(context.Background()); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
