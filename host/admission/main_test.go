package admission_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pointsman/host/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is a context for what must not wait.
func now(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// wantRefusal checks that err is one that a consumer is told to try again after.
func wantRefusal(t testing.TB, err, why error) *broker.Error {
	t.Helper()
	e, ok := errors.AsType[*broker.Error](err)
	if !ok || e.Kind != broker.Unavailable || !errors.Is(err, why) || e.After < time.Second || e.After > 30*time.Second {
		t.Fatalf("got %v, want unavailable for 1 s to 30 s because %v", err, why)
	}
	return e
}
