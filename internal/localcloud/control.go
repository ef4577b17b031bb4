package localcloud

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// control serves what an account's API does not: the state of the processes, their logs, and the end of it all.
func (c *Cloud) control(token string) http.Handler {
	var once sync.Once
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"endpoints": c.endpoints, "processes": c.runtime.Status(), "api_calls": c.calls.now()})
	})
	mux.HandleFunc("GET /logs/{script}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err != nil || n < 1 {
			n = 100
		}
		reply(w, c.runtime.Logs(r.PathValue("script"), n))
	})
	c.controlDoubles(mux)
	mux.HandleFunc("PUT /kv/visibility", c.controlVisibility)
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		once.Do(func() { close(c.stop) })
	})
	return onlyOperator(token, mux)
}

// controlVisibility sets how long a write to KV stays invisible to Workers.
func (c *Cloud) controlVisibility(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		MS int64 `json:"ms"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&wanted); err != nil {
		replyError(w, fault.New(fault.Invalid, "read the delay: %w", err))
		return
	}
	if err := c.store.KV().SetVisibility(time.Duration(wanted.MS) * time.Millisecond); err != nil {
		replyError(w, err)
		return
	}
	reply(w, wanted)
}

// onlyOperator lets a request through that carries the account's token.
func onlyOperator(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(got), []byte(token)) != 1 {
			http.Error(w, `{"error":"unauthenticated"}`, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the reader went away: nobody is left to tell
}
