package sandbox_test

import (
	"context"
	"testing"
	"time"

	"pointsman/host/sandbox"
)

// Whatever a guest does to go on for ever, it ends at its deadline, and other guests are
// served meanwhile.
func TestRunawaysEnd(t *testing.T) { onEngines(t, testRunawaysEnd) }

func testRunawaysEnd(t *testing.T) {
	control := load(t, "echo", sandbox.Limits{})
	m := load(t, "runaway", sandbox.Limits{Time: 100 * time.Millisecond})
	for _, export := range []string{"spin", "calltree", "mutualtree", "fill", "filltree", "filllines", "copies", "grow", "hoard", "churn"} {
		t.Run(export, func(t *testing.T) {
			begun := time.Now()
			ended := make(chan error, 1)
			go func() {
				_, err := m.Call(context.Background(), export, nil)
				ended <- err
			}()
			served := 0
			for {
				out, err := control.Call(context.Background(), "echo", []byte("still here"))
				if err != nil || string(out) != "still here" {
					t.Fatalf("control: got %q, %v", out, err)
				}
				served++
				select {
				case err := <-ended:
					if kind(err) != sandbox.Timeout {
						t.Errorf("got %v", err)
					}
					// Not a promise of speed: slow machines run this, with the race detector.
					if took := time.Since(begun); took > 5*time.Second {
						t.Errorf("took %v", took)
					}
					t.Logf("%v, %d other calls meanwhile", time.Since(begun), served)
					return
				default:
				}
			}
		})
	}
}

func TestRunawaysBeyondTheProcessors(t *testing.T) { onEngines(t, testRunawaysBeyondTheProcessors) }

func testRunawaysBeyondTheProcessors(t *testing.T) {
	control := load(t, "echo", sandbox.Limits{})
	m := load(t, "runaway", sandbox.Limits{Time: 200 * time.Millisecond})
	const many = 8
	ended := make(chan error, many)
	for range many {
		go func() {
			_, err := m.Call(context.Background(), "calltree", nil)
			ended <- err
		}()
	}
	for range 10 {
		if out, err := control.Call(context.Background(), "copy", []byte("still here")); err != nil || string(out) != "still here" {
			t.Errorf("control: got %q, %v", out, err)
		}
	}
	for range many {
		if err := <-ended; kind(err) != sandbox.Timeout {
			t.Errorf("got %v", err)
		}
	}
}
