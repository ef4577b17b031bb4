package edge_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cognomega/edge/internal/fault"
)

// dying serves the first n requests by ending the connection without an answer, and is replaced by then.
func dying(b *bed, script string, asked *atomic.Int32) {
	b.worker(script, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked.Add(1)
		b.workers.retire(script)
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = c.Close()
		}
	}))
	b.worker(script, http.HandlerFunc(mirror))
}

func TestProcessGoneMidRequest(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method, body string
		status       int
	}{
		"GET is repeated":           {"GET", "", 200},
		"DELETE is repeated":        {"DELETE", "", 200},
		"POST is not":               {"POST", "", 520},
		"PUT with a sent body: not": {"PUT", "x", 520},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.zone("example.com", []string{"example.com"}, "example.com/*", "dying")
			var asked atomic.Int32
			dying(b, "dying", &asked)
			req, _ := http.NewRequestWithContext(t.Context(), tt.method, "http://example.com/", strings.NewReader(tt.body))
			if resp := b.do(req); resp.StatusCode != tt.status {
				t.Errorf("status %d", resp.StatusCode)
			}
			if asked.Load() != 1 || b.workers.held() != 0 {
				t.Errorf("asked %d times, %d leases held", asked.Load(), b.workers.held())
			}
		})
	}
}

func TestProcessThatDoesNotListen(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "w")
	b.worker("w", http.HandlerFunc(mirror)).Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com/", strings.NewReader("body"))
	if resp := b.do(req); resp.StatusCode != 521 {
		t.Errorf("nobody listens: %d", resp.StatusCode)
	}
	b.worker("w", http.HandlerFunc(mirror))
	b.workers.retire("w")
	req, _ = http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com/", strings.NewReader("body"))
	if resp := b.do(req); resp.StatusCode != 200 || !strings.Contains(body(t, resp), `"Body":"body"`) {
		t.Errorf("a new process listens: %d", resp.StatusCode)
	}
}

// A connection that its process ended while it was idle must cost no request, not even one that cannot be repeated.
func TestIdleConnectionThatEndedIsNotUsed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "w")
	s := b.worker("w", http.HandlerFunc(mirror))
	for range 20 {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com/", strings.NewReader("body"))
		if resp := b.do(req); resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		} else {
			_ = body(t, resp)
		}
		s.CloseClientConnections()
	}
}

func TestBrokenAnswerBreaksTheClientsConnection(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "cut")
	b.worker("cut", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	resp := b.get("http://example.com/")
	if got, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("half an answer passed for a whole one: %q", got)
	}
	eventually(t, "recorded", func() bool {
		all := b.records.list()
		return len(all) == 1 && all[0].Status == "internalError"
	})
}

func TestUncaughtException(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/throws", "throws", "example.com/says", "says")
	b.worker("throws", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		w.Header().Set("Content-Length", "21")
		w.WriteHeader(500)
		_, _ = io.WriteString(w, "Internal Server Error")
	}))
	b.worker("says", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
		w.Header().Set("Content-Length", "21")
		w.WriteHeader(500)
		_, _ = io.WriteString(w, "Internal Server Error")
	}))
	for range 2 { // the second time on the same connection
		if resp := b.get("http://example.com/throws"); resp.StatusCode != 500 || !strings.Contains(body(t, resp), "1101") {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	if got := body(t, b.get("http://example.com/says")); got != "Internal Server Error" {
		t.Errorf("a Worker's own 500 became %q", got)
	}
	all := b.records.list()
	if len(all) != 3 || all[0].Status != "scriptThrewException" || all[2].Status != "success" || all[2].HTTPStatus != 500 || all[0].Version != "v-throws" {
		t.Errorf("recorded %+v", all)
	}
}

func TestAccessLogHasNoQuery(t *testing.T) {
	t.Parallel()
	b := mirrorBed(t)
	_ = body(t, b.get("http://example.com/path?token=secret"))
	eventually(t, "logged", func() bool { return strings.Contains(b.log.String(), "path=/path") })
	if strings.Contains(b.log.String(), "secret") {
		t.Error(b.log.String())
	}
}

func TestScriptThatDoesNotStartSaysWhy(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "w")
	b.worker("w", http.HandlerFunc(mirror))
	b.workers.refuse(fault.New(fault.Unavailable, "script w does not start: SyntaxError"))
	if resp := b.get("http://example.com/"); resp.StatusCode != 521 || !strings.Contains(body(t, resp), "SyntaxError") {
		t.Errorf("status %d", resp.StatusCode)
	}
}
