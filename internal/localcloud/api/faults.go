package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Faults are troubles a test can order, so that clients meet what the real API does on a bad day; the zero value gives none.
type Faults struct {
	mu         sync.Mutex
	throttle   int
	retryAfter time.Duration
	failures   int
	status     int
}

// Throttle makes the next n calls answer 429 with code 971 and a Retry-After.
func (f *Faults) Throttle(n int, retryAfter time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.throttle, f.retryAfter = n, retryAfter
}

// Fail makes the next n calls answer an HTML page with this status, as Cloudflare's edge does when the API behind it is down.
func (f *Faults) Fail(n, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures, f.status = n, status
}

func (f *Faults) next(w http.ResponseWriter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.throttle > 0 {
		f.throttle--
		w.Header().Set("Retry-After", strconv.Itoa(int(f.retryAfter.Round(time.Second)/time.Second)))
		w.Header().Set("Ratelimit", `"default";r=0;t=`+strconv.Itoa(int(f.retryAfter/time.Second)))
		return fail(http.StatusTooManyRequests, 971, "Please wait and consider throttling your request speed")
	}
	if f.failures > 0 {
		f.failures--
		return htmlFailure(f.status)
	}
	return nil
}

// htmlFailure is answered as a page, not as an envelope.
type htmlFailure int

func (h htmlFailure) Error() string { return http.StatusText(int(h)) }

func (s *server) limitHeaders(w http.ResponseWriter) {
	w.Header().Set("Ratelimit", `"default";r=1199;t=300`)
	w.Header().Set("Ratelimit-Policy", `"default";q=1200;w=300`)
}
