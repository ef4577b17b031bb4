package runtime

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// rateLimiter counts calls in fixed windows, for all scripts that share a namespace.
type rateLimiter struct {
	now func() time.Time

	mu      sync.Mutex
	windows map[limitKey]*window
	swept   time.Time
}

type limitKey struct {
	namespace, key string
	limit, period  int
}

type window struct {
	ends  time.Time
	count int
}

func newRateLimiter(now func() time.Time) *rateLimiter {
	return &rateLimiter{now: now, windows: map[limitKey]*window{}}
}

// take counts one call and says whether it was within the limit.
func (l *rateLimiter) take(k limitKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now.Sub(l.swept) > time.Minute {
		for k, w := range l.windows {
			if !now.Before(w.ends) {
				delete(l.windows, k)
			}
		}
		l.swept = now
	}
	w := l.windows[k]
	if w == nil || !now.Before(w.ends) {
		period := time.Duration(k.period) * time.Second
		w = &window{ends: now.Truncate(period).Add(period)}
		l.windows[k] = w
	}
	w.count++
	return w.count <= k.limit
}

func (l *rateLimiter) serve(w http.ResponseWriter, r *http.Request, namespace string) {
	var req struct {
		Key           string
		Limit, Period int
	}
	body, err := readBody(r, 64<<10)
	if err == nil && (json.Unmarshal(body, &req) != nil || req.Limit <= 0 || req.Period <= 0) {
		err = fault.New(fault.Invalid, "malformed rate limit request")
	}
	if err != nil {
		refuse(w, err)
		return
	}
	answerJSON(w, map[string]bool{"success": l.take(limitKey{namespace, req.Key, req.Limit, req.Period})})
}
