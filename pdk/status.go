package pdk

import (
	"strconv"
	"strings"
	"time"

	"pointsman/pdk/wire"
)

// maxRetryAfter bounds what a back end can ask for: a day, after which any quota we know of
// has begun anew.
const maxRetryAfter = 24 * time.Hour

// Err returns nil for a 2xx answer, otherwise the *Error that its status means. The message
// holds the status and nothing that the back end wrote.
//
//	401, 403             auth
//	404                  not_found
//	429                  rate_limited, with the time of Retry-After
//	408, 425, 500 to 599 transient
//	anything else        permanent
func (r *Reply) Err() error {
	switch code := wire.CodeOf(r.Status); code {
	case "":
		return nil
	case wire.RateLimited:
		return RateLimited(r.RetryAfter(time.Now()))
	default:
		return Errorf(code, "the back end answered %d", r.Status)
	}
}

// RetryAfter returns how long the back end asks to wait, between 0 and 24 hours; 0 if it did
// not say or said it in neither form of RFC 9110 §10.2.3 (seconds, or an HTTP date).
func (r *Reply) RetryAfter(now time.Time) time.Duration {
	text := strings.TrimSpace(r.Get("retry-after"))
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil {
		if seconds > uint64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
