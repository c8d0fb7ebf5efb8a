package logcap

import (
	"sync"

	"pointsman/host/broker"
)

// maxCalls is how many calls are counted at the same time, the oldest being forgotten
// first. A plugin has fewer sandboxes than that, so those of running calls are kept.
const maxCalls = 256

// key is one call of a plugin.
type key struct {
	request broker.RequestID
	step    string
}

// counter counts the lines of each call. The zero value is ready. Safe for concurrent use.
type counter struct {
	mu     sync.Mutex
	counts map[key]int   // guarded by mu
	order  [maxCalls]key // guarded by mu; a ring of what is in counts, oldest at next
	next   int           // guarded by mu
}

// add counts one more line of k and returns how many there were before, at most maxLines+1.
func (c *counter) add(k key) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, known := c.counts[k]
	if !known {
		if c.counts == nil {
			c.counts = make(map[key]int)
		}
		if len(c.counts) >= maxCalls {
			delete(c.counts, c.order[c.next])
		}
		c.order[c.next] = k
		c.next = (c.next + 1) % maxCalls
	}
	if n <= maxLines {
		c.counts[k] = n + 1
	}
	return n
}
