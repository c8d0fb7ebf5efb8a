package admission_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"pgregory.net/rapid"

	"pointsman/host/admission"
)

func TestFits(t *testing.T) {
	const size = 64 << 20
	tests := []struct {
		name     string
		budget   uint64
		reserved []int
		wantSum  uint64
		want     bool
	}{
		{"no budget", 0, []int{1}, size, false},
		{"one byte short", 3*size - 1, []int{1, 2}, 3 * size, false},
		{"exactly", 3 * size, []int{1, 2}, 3 * size, true},
		{"the last fits and the one before does not", size, []int{2, 0}, 2 * size, false},
		{"nobody", 0, nil, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := admission.NewMemory(tt.budget)
			var shares []*admission.Share
			for _, n := range tt.reserved {
				shares = append(shares, m.Share(size, n))
			}
			if sum, ok := m.Fits(shares); sum != tt.wantSum || ok != tt.want {
				t.Errorf("%d, %v, want %d, %v", sum, ok, tt.wantSum, tt.want)
			}
		})
	}
}

// starts reports whether a call gets its memory without waiting for another to end.
func starts(t *testing.T, s *admission.Share) (release func(), ok bool) {
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan bool)
	go func() {
		var err error
		release, err = s.Acquire(ctx)
		if err != nil {
			wantRefusal(t, err, admission.ErrWaited)
		}
		got <- err == nil
	}()
	synctest.Wait()
	select {
	case ok = <-got:
	default:
		cancel()
		ok = <-got
	}
	cancel()
	return release, ok
}

func mustHave(t *testing.T, s *admission.Share, what string) (release func()) {
	t.Helper()
	release, ok := starts(t, s)
	if !ok {
		t.Fatalf("%s waits", what)
	}
	return release
}

func mustWait(t *testing.T, s *admission.Share, what string) {
	t.Helper()
	if _, ok := starts(t, s); ok {
		t.Fatalf("%s starts", what)
	}
}

// TestReservation: nobody takes what another has reserved.
func TestReservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(10)
		greedy, modest := m.Share(3, 1), m.Share(4, 1)
		m.Swap(nil, []*admission.Share{greedy, modest})
		mustWait(t, m.Share(11, 1), "a sandbox larger than the budget")
		first := mustHave(t, greedy, "the first call")
		second := mustHave(t, greedy, "a call of what nobody reserved")
		mustWait(t, greedy, "a call of what another reserved")
		own := mustHave(t, modest, "a reserved call")
		if m.Used() != 10 || m.Promised() != 0 {
			t.Errorf("%d are used and %d promised, want 10 and 0", m.Used(), m.Promised())
		}
		mustWait(t, modest, "a call beyond the budget")
		first()
		mustWait(t, modest, "a call of what was given back and is reserved again, but for") // 10-7=3 < 4
		second()
		own()
		if m.Used() != 0 || m.Promised() != 7 || m.Waiting() != 0 {
			t.Errorf("at the end %d are used, %d promised, %d wait", m.Used(), m.Promised(), m.Waiting())
		}
	})
}

// TestSwapOfReservations: the release before neither stops nor is stopped by the next, and
// both stay within the budget.
func TestSwapOfReservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(10)
		old, next := m.Share(5, 2), m.Share(5, 2)
		m.Swap(nil, []*admission.Share{old})
		a, b := mustHave(t, old, "a call"), mustHave(t, old, "a second call")
		if _, ok := m.Fits([]*admission.Share{next}); !ok {
			t.Error("the next release does not fit because the one before runs")
		}
		m.Swap([]*admission.Share{old}, []*admission.Share{next})
		mustWait(t, next, "a call while the release before has all")
		began := make(chan func())
		go func() {
			release, err := next.Acquire(context.Background())
			if err != nil {
				t.Error(err)
			}
			began <- release
		}()
		synctest.Wait()
		a()
		c := <-began
		b()
		// Who is inside of the old release is served still, where that leaves the budget whole.
		d := mustHave(t, old, "a call of the release before")
		mustWait(t, old, "a call of the release before, beyond the budget")
		mustWait(t, next, "a call beyond the budget")
		c()
		d()
		e, f := mustHave(t, next, "all is free"), mustHave(t, next, "all is free")
		e()
		f()
		if m.Used() != 0 || m.Promised() != 10 {
			t.Errorf("at the end %d are used, %d promised", m.Used(), m.Promised())
		}
	})
}

// TestLargeIsNotPassed: who waits for much is not passed for ever by those who take little.
func TestLargeIsNotPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(10)
		small, large := m.Share(3, 0), m.Share(6, 0)
		a, b := mustHave(t, small, "one"), mustHave(t, small, "two")
		got := make(chan func())
		go func() {
			release, err := large.Acquire(context.Background())
			if err != nil {
				t.Error(err)
			}
			got <- release
		}()
		synctest.Wait()
		mustWait(t, small, "one that came later and would fit")
		a()
		release := <-got
		b()
		release()
		mustHave(t, small, "the next")()
	})
}

// TestMemoryProperties: in any sequence of calls, cancellations and swaps, the budget holds,
// and with one release alone a call within its reservation never waits.
func TestMemoryProperties(t *testing.T) {
	type step struct{ What, Plugin, Which int }
	rapid.Check(t, func(rt *rapid.T) {
		budget := uint64(rapid.IntRange(1, 40).Draw(rt, "budget"))
		m := admission.NewMemory(budget)
		type plugin struct {
			*admission.Share
			size     uint64
			reserved int
		}
		var releases [2][]plugin
		for r := range releases {
			left := budget
			for range rapid.IntRange(1, 4).Draw(rt, "plugins") {
				size := uint64(rapid.IntRange(1, 10).Draw(rt, "size"))
				p := plugin{size: size, reserved: rapid.IntRange(0, int(left/size)).Draw(rt, "reserved")}
				left -= size * uint64(p.reserved)
				p.Share = m.Share(size, p.reserved)
				releases[r] = append(releases[r], p)
			}
		}
		steps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{rapid.IntRange(0, 9).Draw(rt, "what"), rapid.IntRange(0, 3).Draw(rt, "plugin"), rapid.IntRange(0, 99).Draw(rt, "which")}
		}), 20, 80).Draw(rt, "steps")
		shares := func(of []plugin) (s []*admission.Share) {
			for _, p := range of {
				s = append(s, p.Share)
			}
			return s
		}
		var failure string
		fail := func(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
		synctest.Test(t, func(*testing.T) {
			all, cancelAll := context.WithCancel(context.Background())
			defer cancelAll()
			defer func() {
				if r := recover(); r != nil {
					failure = fmt.Sprint(r)
				}
			}()
			type call struct {
				plugin  plugin
				release func()
				cancel  func()
				err     error
				done    chan struct{}
				old     bool
			}
			live := 0
			m.Swap(nil, shares(releases[0]))
			var calls []*call
			look := func() {
				synctest.Wait()
				var used uint64
				old := false
				running := map[*admission.Share]int{}
				kept := calls[:0]
				for _, c := range calls {
					select {
					case <-c.done:
						if c.err != nil {
							continue
						}
						used += c.plugin.size
						running[c.plugin.Share]++
					default:
					}
					old = old || c.old
					kept = append(kept, c)
				}
				calls = kept
				if used != m.Used() || used > budget {
					fail("%d bytes are used and %d counted, of %d", used, m.Used(), budget)
				}
				var promised uint64
				for _, p := range releases[live] {
					promised += p.size * uint64(max(0, p.reserved-running[p.Share]))
				}
				if promised != m.Promised() || !old && used+promised > budget {
					fail("%d are promised and %d counted; %d are used of %d", promised, m.Promised(), used, budget)
				}
				for _, c := range calls {
					select {
					case <-c.done:
						continue
					default:
					}
					if within := running[c.plugin.Share] < c.plugin.reserved; within && (used+c.plugin.size <= budget || !old) {
						fail("a call of %d bytes waits within its reservation; %d of %d are used", c.plugin.size, used, budget)
					}
				}
			}
			for _, step := range steps {
				switch {
				case step.What == 0:
					for _, c := range calls { // the release before the one that goes has drained
						select {
						case <-c.done:
						default:
							if c.old {
								c.cancel()
							}
						}
					}
					look()
					kept := calls[:0]
					for _, c := range calls {
						if c.old {
							c.release()
							continue
						}
						c.old = true
						kept = append(kept, c)
					}
					calls = kept
					m.Swap(shares(releases[live]), shares(releases[1-live]))
					live = 1 - live
				case step.What <= 6 || len(calls) == 0:
					ctx, cancel := context.WithCancel(all)
					c := &call{plugin: releases[live][step.Plugin%len(releases[live])], cancel: cancel, done: make(chan struct{})}
					calls = append(calls, c)
					go func() {
						c.release, c.err = c.plugin.Acquire(ctx)
						close(c.done)
					}()
				default:
					i := step.Which % len(calls)
					c := calls[i]
					select {
					case <-c.done:
						c.release()
						calls = append(calls[:i:i], calls[i+1:]...)
					default:
						c.cancel()
					}
				}
				look()
			}
			for len(calls) > 0 {
				for _, c := range calls {
					select {
					case <-c.done:
						c.release()
						c.err = errors.New("over")
					default:
						c.cancel()
					}
				}
				look()
			}
			if m.Used() != 0 || m.Waiting() != 0 {
				fail("when all have gone, %d are used and %d wait", m.Used(), m.Waiting())
			}
		})
		if failure != "" {
			rt.Fatal(failure)
		}
	})
}

func TestDefaultBudget(t *testing.T) {
	const meminfo = "MemFree:  1 kB\nMemTotal:       16384000 kB\nSwapTotal: 99999999 kB\n"
	tests := []struct {
		name  string
		files map[string]string
		want  uint64
		from  string
	}{
		{"nothing is known", nil, 1 << 30, "half of a machine that does not say"},
		{"a machine", map[string]string{"proc/meminfo": meminfo}, 16384000 << 9, "half of the machine's memory"},
		{"a size that is none", map[string]string{"proc/meminfo": "MemTotal: many kB\n"}, 1 << 30, "half of a machine that does not say"},
		{"no limit in the cgroup", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/user\n", "sys/fs/cgroup/user/memory.max": "max\n",
		}, 16384000 << 9, "half of the machine's memory"},
		{"a limit above", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "4294967296\n", "sys/fs/cgroup/a/memory.max": "2147483648\n", "sys/fs/cgroup/memory.max": "max\n",
		}, 1 << 30, "half of the cgroup's memory limit"},
		{"a container that sees only its own", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/../../system.slice/x\n", "sys/fs/cgroup/memory.max": "1073741824\n",
		}, 1 << 29, "half of the cgroup's memory limit"},
		{"version 1", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu,cpuacct:/a\n4:memory:/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "536870912\n",
		}, 1 << 28, "half of the cgroup's memory limit"},
		{"version 1 without a limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 16384000 << 9, "half of the machine's memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got, from := admission.DefaultBudget(root); got != tt.want || from != tt.from {
				t.Errorf("%d, %s; want %d, %s", got, from, tt.want, tt.from)
			}
		})
	}
}
