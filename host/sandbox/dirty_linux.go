package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dirtyPages finds the pages of a private mapping that were ever written: those are the
// ones that are no longer the file's. Safe for concurrent use.
type dirtyPages struct {
	way  way
	fd   int // of /proc/self/pagemap; -1 when way is byRemap
	page int // bytes
}

// way is how written pages are found.
type way string

const (
	byScan    way = "PAGEMAP_SCAN"       // one system call for all; Linux 6.7
	byPagemap way = "/proc/self/pagemap" // 8 bytes a page
	byRemap   way = "remapping"          // nothing finds them: the whole image is mapped again
)

// openDirtyPages takes the best way that works here. It has to come before the process
// makes itself undumpable: /proc/self/pagemap belongs to root then.
func openDirtyPages() *dirtyPages {
	d := &dirtyPages{way: byRemap, fd: -1, page: os.Getpagesize()}
	fd, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return d
	}
	d.fd = fd
	for _, d.way = range []way{byScan, byPagemap} {
		if d.finds() {
			return d
		}
	}
	d.close()
	d.way = byRemap
	return d
}

func (d *dirtyPages) close() {
	if d.fd >= 0 {
		_ = unix.Close(d.fd)
		d.fd = -1
	}
}

// finds proves on a small mapping that exactly the pages written are found.
func (d *dirtyPages) finds() bool {
	const pages = 16
	content := make([]byte, pages*pageSize)
	for i := range content {
		content[i] = byte(i >> 8)
	}
	f, err := newImageFile(content)
	if err != nil {
		return false
	}
	defer f.close()
	m, err := reserve(pages * pageSize)
	if err != nil {
		return false
	}
	defer m.Free()
	if m.Reallocate(pages*pageSize) == nil || m.overlay(&image{imageFile: f}) != nil {
		return false
	}
	written := []int{0, 3, 4, 5, len(content)/d.page - 1}
	for at := 0; at < len(content); at += d.page { // reading makes no copy
		if m.buf[at] != content[at] {
			return false
		}
	}
	for _, p := range written {
		m.buf[p*d.page+7]++
	}
	var got []int
	err = d.each(m.buf, newScratch(), func(from, to int) error {
		for ; from < to; from += d.page {
			got = append(got, from/d.page)
		}
		return nil
	})
	if err != nil || len(got) != len(written) {
		return false
	}
	for i := range got {
		if got[i] != written[i] {
			return false
		}
	}
	return true
}

// pageRegion is Linux's struct page_region.
type pageRegion struct {
	start, end uint64
	_          uint64 // categories; they are not asked for
}

// scanArgument is Linux's struct pm_scan_arg.
type scanArgument struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages           uint64
	categoryInverted, categoryMask, categoryAnyofMask, categoriesBack uint64
}

const (
	pagemapScan = 3<<30 | 96<<16 | 'f'<<8 | 16 // _IOWR('f', 16, struct pm_scan_arg)

	// categories of PAGEMAP_SCAN
	pageIsFile    = 1 << 2
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4

	// bits of a pagemap entry
	entryPresent = 1 << 63
	entrySwapped = 1 << 62
	entryFile    = 1 << 61 // file-mapped or shared
)

// scratch is what each needs, one per instance so that it allocates nothing.
type scratch struct {
	argument scanArgument
	regions  [64]pageRegion
	entries  []byte
}

// newScratch returns one on the heap: its argument holds its address as a number, so it
// must not move.
//
//go:noinline
func newScratch() *scratch { return new(scratch) }

// each calls f with every range of written pages of memory, as offsets.
func (d *dirtyPages) each(memory []byte, s *scratch, f func(from, to int) error) error {
	switch d.way {
	case byScan:
		return d.eachScanned(memory, s, f)
	case byPagemap:
		return d.eachEntry(memory, s, f)
	}
	return errors.New("written pages cannot be found")
}

func (d *dirtyPages) eachScanned(memory []byte, s *scratch, f func(from, to int) error) error {
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory))))
	end := base + uint64(len(memory))
	for at := base; at < end; {
		s.argument = scanArgument{
			size: uint64(unsafe.Sizeof(s.argument)), start: at, end: end,
			vec: uint64(uintptr(unsafe.Pointer(&s.regions))), vecLen: uint64(len(s.regions)),
			categoryInverted: pageIsFile, categoryMask: pageIsFile,
			categoryAnyofMask: pageIsPresent | pageIsSwapped,
		}
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), pagemapScan, uintptr(unsafe.Pointer(&s.argument)))
		if errno != 0 {
			return fmt.Errorf("scan for written pages: %w", errno)
		}
		for _, r := range s.regions[:min(int(n), len(s.regions))] {
			if err := f(int(r.start-base), int(r.end-base)); err != nil {
				return err
			}
		}
		if s.argument.walkEnd <= at {
			return errors.New("scan for written pages: no progress")
		}
		at = s.argument.walkEnd
	}
	return nil
}

func (d *dirtyPages) eachEntry(memory []byte, s *scratch, f func(from, to int) error) error {
	pages := len(memory) / d.page
	if cap(s.entries) < 8*pages {
		s.entries = make([]byte, 8*pages)
	}
	entries := s.entries[:8*pages]
	at := int64(uintptr(unsafe.Pointer(unsafe.SliceData(memory)))) / int64(d.page) * 8
	for done := 0; done < len(entries); {
		n, err := unix.Pread(d.fd, entries[done:], at+int64(done))
		if err != nil || n == 0 {
			return fmt.Errorf("read /proc/self/pagemap: %d bytes, %w", n, err)
		}
		done += n
	}
	for p := range pages {
		e := binary.LittleEndian.Uint64(entries[8*p:])
		if e&(entryPresent|entrySwapped) != 0 && e&entryFile == 0 {
			if err := f(p*d.page, (p+1)*d.page); err != nil {
				return err
			}
		}
	}
	return nil
}
