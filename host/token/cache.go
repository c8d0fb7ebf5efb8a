package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"sync"
	"time"
)

const (
	shards = 16
	// shardSize is the most verdicts in one half of a shard: 32,768 tokens in all, some 6 MiB.
	shardSize = 1024
)

// cache remembers tokens that held, by a keyed hash: whoever reads the memory finds no token,
// and nobody outside can tell which tokens share a place. A verdict ends with the token, with
// the set of keys that it was made by, and with the release, whose cache this is.
type cache struct {
	hashes sync.Pool
	shards [shards]shard
}

type digest = [sha256.Size]byte

// shard has two halves: when the young one is full it becomes the old one, and what was in
// the old one and not asked for since is forgotten.
type shard struct {
	mu         sync.Mutex
	young, old map[digest]cached // guarded by mu
}

type cached struct {
	verdict Verdict
	source  *source
	set     *keySet
}

// hasher is a keyed hash and where a token is copied for it.
type hasher struct {
	mac  hash.Hash
	text []byte
	sum  []byte
}

func newCache() *cache {
	var key [sha256.BlockSize]byte
	rand.Read(key[:]) // never fails: crypto/rand ends the process instead
	return &cache{hashes: sync.Pool{New: func() any {
		return &hasher{mac: hmac.New(sha256.New, key[:]), text: make([]byte, 0, MaxToken), sum: make([]byte, 0, sha256.Size)}
	}}}
}

// sum returns the keyed hash of a token.
func (c *cache) sum(token string) (d digest) {
	h := c.hashes.Get().(*hasher)
	h.mac.Reset()
	h.text = append(h.text[:0], token...)
	h.mac.Write(h.text)
	copy(d[:], h.mac.Sum(h.sum))
	clear(h.text)
	c.hashes.Put(h)
	return d
}

// get returns the verdict of a token, if it is known and still holds. That digests are not
// compared in constant time tells nothing: they are keyed.
func (c *cache) get(d digest, now time.Time) (Verdict, bool) {
	s := &c.shards[d[0]%shards]
	s.mu.Lock()
	e, ok := s.young[d]
	if !ok {
		if e, ok = s.old[d]; ok {
			s.add(d, e)
		}
	}
	s.mu.Unlock()
	if !ok || !now.Before(e.verdict.Expires) || e.source.current() != e.set {
		return Verdict{}, false
	}
	return e.verdict, true
}

func (c *cache) put(d digest, v Verdict, from *source, set *keySet, now time.Time) {
	if !now.Before(v.Expires) { // it lives by the skew
		return
	}
	s := &c.shards[d[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(d, cached{v, from, set})
}

// add is called with mu held.
func (s *shard) add(d digest, e cached) {
	if len(s.young) >= shardSize || s.young == nil {
		s.young, s.old = make(map[digest]cached), s.young
	}
	s.young[d] = e
}
