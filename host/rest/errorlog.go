package rest

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// connectionLog takes what net/http says about connections. Its text has addresses and
// bytes that clients chose, so only the class of a line is kept; and clients can cause any
// number of lines, so each class is logged once a second, with the number of those before.
type connectionLog struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last map[string]time.Time // when a class was logged; guarded by mu
	held map[string]int       // lines not logged since; guarded by mu
}

const connectionLogEvery = time.Second

// connectionFaults are the beginnings of net/http's lines that say what is wrong. All else
// is "other".
var connectionFaults = [...]struct{ begins, class string }{
	{"http: TLS handshake error", "tls handshake"},
	{"http: Accept error", "accept"},
	{"http2: ", "http2"},
	{"http: panic serving", "panic"},
	{"http: superfluous response.WriteHeader", "second answer"},
	{"http: response.Write", "second answer"},
	{"http: URL query contains semicolon", "query"},
}

// Write takes one line, as log.Logger hands them over. It never fails.
func (c *connectionLog) Write(line []byte) (int, error) {
	class := "other"
	for _, f := range connectionFaults {
		if strings.HasPrefix(string(line), f.begins) {
			class = f.class
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.last, c.held = map[string]time.Time{}, map[string]int{}
	}
	now := c.now()
	if last, ok := c.last[class]; ok && now.Sub(last) < connectionLogEvery {
		c.held[class]++
		return len(line), nil
	}
	c.log.Warn("connection failed", "class", class, "held", c.held[class])
	c.last[class], c.held[class] = now, 0
	return len(line), nil
}
