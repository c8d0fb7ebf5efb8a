package admission

import (
	"bufio"
	"bytes"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// unknownMachine is the memory of a machine that does not say how much it has, in bytes:
// the smallest that is worth a broker.
const unknownMachine = 2 << 30

// DefaultBudget is half of what memory the process may use at most: the machine's, or that
// of the cgroups it is in, whichever is less. The other half is for Go's heap, the code and
// the images of modules, what idle sandboxes keep, the page cache and the neighbours. from
// says in words what was halved. root is the root of the file system.
func DefaultBudget(root fs.FS) (bytes uint64, from string) {
	most, from := uint64(unknownMachine), "a machine that does not say"
	if n, ok := totalMemory(root); ok {
		most, from = n, "the machine's memory"
	}
	if n, ok := cgroupMemory(root); ok && n < most {
		most, from = n, "the cgroup's memory limit"
	}
	return most / 2, "half of " + from
}

// totalMemory reads proc_meminfo(5): "MemTotal:       16384000 kB".
func totalMemory(root fs.FS) (uint64, bool) {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			kib, err := strconv.ParseUint(f[1], 10, 53)
			return kib << 10, err == nil && kib > 0
		}
	}
	return 0, false
}

// cgroupMemory is the smallest limit of the process's cgroup and those above it; see
// cgroups(7): lines of /proc/self/cgroup are "ID:controllers:path", with the ID 0 and no
// controllers in version 2.
func cgroupMemory(root fs.FS) (least uint64, found bool) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		f := strings.SplitN(lines.Text(), ":", 3)
		if len(f) != 3 {
			continue
		}
		mount, file := "sys/fs/cgroup", "memory.max"
		if f[1] != "" {
			if !strings.Contains(","+f[1]+",", ",memory,") {
				continue
			}
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// In a container the path may be one that only the host has; the root is its own then.
		for dir := path.Clean("/" + f[2]); ; dir = path.Dir(dir) {
			if n, ok := readLimit(root, path.Join(mount, dir, file)); ok && (!found || n < least) {
				least, found = n, true
			}
			if dir == "/" {
				break
			}
		}
	}
	return least, found
}

// readLimit reads a number of bytes. "max", and no limit of version 1, which is a number
// too large for any machine, are none.
func readLimit(root fs.FS, name string) (uint64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil && n > 0
}
