package localcloud

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// Calls is how many requests the account's API has had since it was started: those that can only read, and all others.
type Calls struct {
	Reads  int64 `json:"reads"`
	Writes int64 `json:"writes"`
}

// callCounter counts requests before they are looked at: one that is refused was still made.
type callCounter struct{ reads, writes atomic.Int64 }

func (c *callCounter) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || strings.HasSuffix(r.URL.Path, "/graphql") || strings.HasSuffix(r.URL.Path, "/bulk/get") {
			c.reads.Add(1)
		} else {
			c.writes.Add(1)
		}
		next.ServeHTTP(w, r)
	})
}

func (c *callCounter) now() Calls { return Calls{c.reads.Load(), c.writes.Load()} }
