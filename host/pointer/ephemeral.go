package pointer

import (
	"container/heap"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"pointsman/host/broker"
)

// Ephemeral holds the pointers of ephemeral domains, in memory: random, of one domain and
// sector each, until they expire. The pointers themselves are not kept, only their hashes
// with the ids. A restart forgets them all. The zero value is ready. Safe for concurrent use.
type Ephemeral struct {
	// PerSector is how many pointers of one domain may live in one sector; 0 means 10,000:
	// a hundred long lists a minute, at ten minutes. No sector takes the room of another
	// until Total is reached.
	PerSector int
	// Total is how many may live at all; 0 means 100,000, which take about 40 MB.
	Total int

	mu    sync.Mutex
	live  map[digest]*record // guarded by mu
	count map[owner]int      // guarded by mu
	due   queue              // guarded by mu; what is in live, the first to expire first
	sweep *time.Timer        // guarded by mu; runs when the first of due expires
}

// digest is the hash of a pointer with its domain and sector.
type digest [sha256.Size]byte

type owner struct {
	domain string
	sector broker.Sector
}

type record struct {
	digest  digest
	owner   owner
	id      string
	expires time.Time
}

const (
	defaultPerSector = 10_000
	defaultTotal     = 100_000
)

func (e *Ephemeral) mint(domain string, sector broker.Sector, id string, lifetime time.Duration) (string, error) {
	var random [randomSize]byte
	rand.Read(random[:]) // never fails: the program ends instead
	text := encode(domain, 0, random[:])
	r := &record{digestOf(domain, sector, text), owner{domain, sector}, id, time.Now().Add(lifetime)}
	if err := e.add(r); err != nil {
		return "", err
	}
	return text, nil
}

// add keeps r, unless there are too many.
func (e *Ephemeral) add(r *record) error {
	perSector, total := e.PerSector, e.Total
	if perSector <= 0 {
		perSector = defaultPerSector
	}
	if total <= 0 {
		total = defaultTotal
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(time.Now())
	switch {
	case e.count[r.owner] >= perSector:
		return e.full(fmt.Sprintf("%d ephemeral pointers of domain %s live in this sector, which is the most", perSector, r.owner.domain))
	case len(e.live) >= total:
		return e.full(fmt.Sprintf("%d ephemeral pointers live, which is the most", total))
	}
	if e.live == nil {
		e.live, e.count = map[digest]*record{}, map[owner]int{}
	}
	e.live[r.digest] = r
	e.count[r.owner]++
	heap.Push(&e.due, r)
	if e.due[0] == r {
		e.wake()
	}
	return nil
}

// full is the error for one pointer too many. e.mu is held, and something lives.
func (e *Ephemeral) full(why string) error {
	return &broker.Error{Kind: broker.RateLimited, Detail: why, After: max(time.Until(e.due[0].expires), time.Second)}
}

// resolve does the same work for every text: one hash and one look.
func (e *Ephemeral) resolve(domain string, sector broker.Sector, text string) (id string, ok bool) {
	want := digestOf(domain, sector, text)
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.live[want]
	if !ok || !time.Now().Before(r.expires) {
		return "", false
	}
	return r.id, true
}

// digestOf binds a pointer to its domain and sector; each has its length in front.
func digestOf(domain string, sector broker.Sector, text string) digest {
	_, b := room(0, domain, sector, 0)
	// No longer text was minted; hashing more of one would only take time.
	text = text[:min(len(text), MaxText(domain)+1)]
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	return sha256.Sum256(append(b, text...))
}

// wake has what expires forgotten at its time, not only when somebody comes. e.mu is held.
func (e *Ephemeral) wake() {
	in := time.Until(e.due[0].expires)
	if e.sweep == nil {
		e.sweep = time.AfterFunc(in, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.forget(time.Now()); len(e.due) > 0 {
				e.wake()
			}
		})
		return
	}
	e.sweep.Reset(in)
}

// forget drops what has expired. e.mu is held.
func (e *Ephemeral) forget(now time.Time) {
	for len(e.due) > 0 && !now.Before(e.due[0].expires) {
		r := heap.Pop(&e.due).(*record)
		delete(e.live, r.digest)
		if e.count[r.owner]--; e.count[r.owner] == 0 {
			delete(e.count, r.owner)
		}
	}
}

// queue is a heap of records by when they expire.
type queue []*record

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].expires.Before(q[j].expires) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push adds a *record; container/heap calls it.
func (q *queue) Push(r any) { *q = append(*q, r.(*record)) }

// Pop takes the last one away; container/heap calls it.
func (q *queue) Pop() any {
	last := len(*q) - 1
	r := (*q)[last]
	(*q)[last] = nil // or the id would stay
	*q = (*q)[:last]
	return r
}
