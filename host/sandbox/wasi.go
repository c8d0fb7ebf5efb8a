package sandbox

import (
	"context"
	"encoding/binary"
	"io"
	"runtime"

	"pointsman/host/wasm"
)

// wasiModule is the name guests import WASI from.
const wasiModule = "wasi_snapshot_preview1"

// WASI's error numbers (preview 1, type errno).
const (
	wasiOK    = 0
	wasiBadF  = 8
	wasiFault = 21
	wasiInval = 28
	wasiIO    = 29
	wasiNoSys = 52

	randomStep = 32 << 10 // bytes of random written between two looks at the clock
	maxVectors = 1024     // of one fd_write, as IOV_MAX
)

// wasi is a WASI without anything that lasts: clocks that stand still, random numbers,
// and output that is logged. There are no arguments, no environment, no files, no
// sockets and no sleep. All of preview 1 is there, so that any module links.
func wasi() []hostFunc {
	fs := []hostFunc{
		wasiFunc("args_get", "ii:i", succeed),
		wasiFunc("args_sizes_get", "ii:i", noWords),
		wasiFunc("environ_get", "ii:i", succeed),
		wasiFunc("environ_sizes_get", "ii:i", noWords),
		wasiFunc("clock_res_get", "ii:i", clockRes),
		wasiFunc("clock_time_get", "iIi:i", clockTime),
		wasiFunc("random_get", "ii:i", randomGet),
		wasiFunc("fd_write", "iiii:i", fdWrite),
		wasiFunc("fd_fdstat_get", "ii:i", fdStat),
		wasiFunc("poll_oneoff", "iiii:i", pollOneoff),
		wasiFunc("sched_yield", ":i", func(_ context.Context, _ *call, s []uint64) {
			runtime.Gosched()
			s[0] = wasiOK
		}),
		wasiFunc("proc_exit", "i", func(_ context.Context, c *call, s []uint64) {
			c.exitedWith0 = uint32(s[0]) == 0
			c.abort(Exit, "with code %d", uint32(s[0]))
		}),
	}
	for name, signature := range wasiRefused {
		code := uint64(wasiBadF) // of all descriptors, only 1 and 2 exist
		if name == "proc_raise" {
			code = wasiNoSys
		}
		fs = append(fs, wasiFunc(name, signature, func(_ context.Context, _ *call, s []uint64) { s[0] = code }))
	}
	return fs
}

// wasiRefused are the functions that always fail.
var wasiRefused = map[string]string{
	"fd_advise":               "iIIi:i",
	"fd_allocate":             "iII:i",
	"fd_close":                "i:i",
	"fd_datasync":             "i:i",
	"fd_fdstat_set_flags":     "ii:i",
	"fd_fdstat_set_rights":    "iII:i",
	"fd_filestat_get":         "ii:i",
	"fd_filestat_set_size":    "iI:i",
	"fd_filestat_set_times":   "iIIi:i",
	"fd_pread":                "iiiIi:i",
	"fd_prestat_dir_name":     "iii:i",
	"fd_prestat_get":          "ii:i",
	"fd_pwrite":               "iiiIi:i",
	"fd_read":                 "iiii:i",
	"fd_readdir":              "iiiIi:i",
	"fd_renumber":             "ii:i",
	"fd_seek":                 "iIii:i",
	"fd_sync":                 "i:i",
	"fd_tell":                 "ii:i",
	"path_create_directory":   "iii:i",
	"path_filestat_get":       "iiiii:i",
	"path_filestat_set_times": "iiiiIIi:i",
	"path_link":               "iiiiiii:i",
	"path_open":               "iiiiiIIii:i",
	"path_readlink":           "iiiiii:i",
	"path_remove_directory":   "iii:i",
	"path_rename":             "iiiiii:i",
	"path_symlink":            "iiiii:i",
	"path_unlink_file":        "iii:i",
	"proc_raise":              "i:i",
	"sock_accept":             "iii:i",
	"sock_recv":               "iiiiii:i",
	"sock_send":               "iiiii:i",
	"sock_shutdown":           "ii:i",
}

func wasiFunc(name, signature string, f body) hostFunc {
	return hostFunc{wasm.ImportName{Module: wasiModule, Name: name}, sig(signature), f}
}

// ptr is a 32-bit parameter as an address or length. The upper half of a stack slot is
// not defined for 32-bit values.
func ptr(slot uint64) uint64 { return uint64(uint32(slot)) }

func succeed(_ context.Context, _ *call, s []uint64) { s[0] = wasiOK }

// errno returns what a function reports that had to write to the guest's memory.
func errno(ok bool) uint64 {
	if !ok {
		return wasiFault
	}
	return wasiOK
}

func noWords(_ context.Context, c *call, s []uint64) {
	s[0] = errno(c.memory.putUint32(ptr(s[0]), 0) && c.memory.putUint32(ptr(s[1]), 0))
}

// The clocks of a call stand still, at a whole millisecond: a guest cannot measure time
// with them, and whatever it computes from them is the same throughout the call. The
// monotonic clock shows the same, because some runtimes refuse one at zero.
const clockStep = 1_000_000 // nanoseconds

func clockRes(_ context.Context, c *call, s []uint64) {
	if uint32(s[0]) > 1 { // 0 realtime, 1 monotonic; no clocks of CPU time
		s[0] = wasiInval
		return
	}
	s[0] = errno(c.memory.putUint64(ptr(s[1]), clockStep))
}

func clockTime(_ context.Context, c *call, s []uint64) {
	if uint32(s[0]) > 1 {
		s[0] = wasiInval
		return
	}
	s[0] = errno(c.memory.putUint64(ptr(s[2]), uint64(c.now.UnixNano())))
}

func randomGet(ctx context.Context, c *call, s []uint64) {
	at, n := ptr(s[0]), ptr(s[1])
	if !c.memory.within(at, n) {
		s[0] = wasiFault
		return
	}
	for n > 0 {
		step := min(n, randomStep)
		if _, err := io.ReadFull(c.random, c.memory.buf[at:at+step]); err != nil {
			s[0] = wasiIO
			return
		}
		c.check(ctx)
		at, n = at+step, n-step
	}
	s[0] = wasiOK
}

// fdWrite logs what is written to 1 and 2. What exceeds the log's budget counts as
// written and is not read.
func fdWrite(ctx context.Context, c *call, s []uint64) {
	fd, vectors, count, written := uint32(s[0]), ptr(s[1]), ptr(s[2]), ptr(s[3])
	var to *stream
	switch fd {
	case 1:
		to = &c.stdout
	case 2:
		to = &c.stderr
	default:
		s[0] = wasiBadF
		return
	}
	if count > maxVectors {
		s[0] = wasiInval
		return
	}
	var total uint64
	for i := range count {
		at, ok1 := c.memory.uint32(vectors + 8*i)
		n, ok2 := c.memory.uint32(vectors + 8*i + 4)
		if !ok1 || !ok2 || !c.memory.within(uint64(at), uint64(n)) {
			s[0] = wasiFault
			return
		}
		total += uint64(n)
		if !c.log.open() {
			continue
		}
		// One byte beyond the budget is enough to find that it is exceeded.
		if text, ok := c.memory.read(uint64(at), min(uint64(n), uint64(c.log.left)+1)); ok {
			to.add(ctx, &c.log, text)
		}
	}
	if total > 1<<32-1 {
		s[0] = wasiInval
		return
	}
	s[0] = errno(c.memory.putUint32(written, uint32(total)))
}

// fdStat describes 1 and 2 as something like a terminal: C libraries then write line by
// line. The layout is WASI's fdstat, 24 bytes.
func fdStat(_ context.Context, c *call, s []uint64) {
	if fd := uint32(s[0]); fd != 1 && fd != 2 {
		s[0] = wasiBadF
		return
	}
	const (
		characterDevice = 2
		rightWrite      = 1 << 6
	)
	stat := make([]byte, 24)
	stat[0] = characterDevice
	binary.LittleEndian.PutUint64(stat[8:], rightWrite)
	s[0] = errno(c.memory.write(ptr(s[1]), stat))
}

// maxNaps is how many sleeps of at most a step of the clock a call is granted. Go's
// runtime takes five before it prints why it panics.
const maxNaps = 64

// pollOneoff refuses to wait: there is nothing to wait for, and time does not pass. Only
// a sleep that is too short to show on the clocks is over at once, and not for ever: a
// guest that waits for its clock to move on would spin until its time is up.
func pollOneoff(_ context.Context, c *call, s []uint64) {
	const ( // the layouts are WASI's subscription and event
		subscription = 48
		tagAt        = 8
		timeoutAt    = 24
		flagsAt      = 40
		event        = 32
	)
	in, out, count, done := ptr(s[0]), ptr(s[1]), ptr(s[2]), ptr(s[3])
	s[0] = wasiNoSys
	if count != 1 || c.naps == maxNaps {
		return
	}
	sub, ok := c.memory.read(in, subscription)
	if !ok {
		s[0] = wasiFault
		return
	}
	const clockTag, absolute = 0, 1
	if sub[tagAt] != clockTag || sub[flagsAt]&absolute != 0 || binary.LittleEndian.Uint64(sub[timeoutAt:]) > clockStep {
		return
	}
	c.naps++
	// An event is the subscription's user data, no error, and the tag again.
	s[0] = errno(c.memory.write(out, append(sub[:8:8], make([]byte, event-8)...)) && c.memory.putUint32(done, 1))
}
