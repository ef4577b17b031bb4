package edge_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestEventStreamIsNotHeldBack(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "sse")
	step := make(chan bool)
	b.worker("sse", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-step
		}
	}))
	resp := b.get("http://example.com/")
	lines := bufio.NewReader(resp.Body)
	for i := range 3 {
		got, err := lines.ReadString('\n')
		if err != nil || got != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("event %d: %q, %v", i, got, err)
		}
		_, _ = lines.ReadString('\n')
		step <- true // the Worker writes the next event only after this one arrived
	}
}

func TestHeadersArriveBeforeTheBody(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "slow")
	release := make(chan bool)
	b.worker("slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4")
		w.(http.Flusher).Flush()
		<-release
		_, _ = io.WriteString(w, "late")
	}))
	resp := b.get("http://example.com/") // hangs when the head waits for the body
	close(release)
	if got := body(t, resp); got != "late" {
		t.Errorf("body %q", got)
	}
}

func TestBothWaysAtOnce(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "echo")
	b.worker("echo", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "text/plain")
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, strings.ToUpper(line))
			w.(http.Flusher).Flush()
		}
	}))
	up, feed := io.Pipe()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com/", up)
	go func() { _, _ = io.WriteString(feed, "one\n") }()
	resp := b.do(req)
	lines := bufio.NewReader(resp.Body)
	for _, want := range []string{"ONE\n", "TWO\n"} {
		got, err := lines.ReadString('\n')
		if err != nil || got != want {
			t.Fatalf("%q, %v", got, err)
		}
		if want == "ONE\n" {
			go func() { _, _ = io.WriteString(feed, "two\n"); _ = feed.Close() }()
		}
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
		t.Errorf("end: %q, %v", rest, err)
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "sum")
	b.worker("sum", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = w.Write(got)
		w.Header().Set("X-Sum", r.Trailer.Get("X-Up")+"+down")
	}))
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com/", io.MultiReader(strings.NewReader("abc")))
	req.ContentLength = -1
	req.Trailer = http.Header{"X-Up": {"up"}}
	resp := b.do(req)
	if got := body(t, resp); got != "abc" || resp.Trailer.Get("X-Sum") != "up+down" {
		t.Errorf("body %q, trailer %v", got, resp.Trailer)
	}
}

func TestClientAbortReachesTheWorker(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "wait")
	started, gone := make(chan bool, 1), make(chan bool)
	b.worker("wait", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		started <- true
		<-r.Context().Done()
		close(gone)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil)
	go func() { <-started; cancel() }()
	if _, err := b.client().Do(req); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	<-gone
	eventually(t, "lease is given back", func() bool { return b.workers.held() == 0 })
	eventually(t, "recorded as disconnected", func() bool {
		all := b.records.list()
		return len(all) == 1 && all[0].Status == "clientDisconnected"
	})
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "count")
	var whole atomic.Int64
	b.worker("count", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err == nil {
			whole.Store(n)
			_, _ = fmt.Fprint(w, n)
		}
	}))
	const limit = 100 << 20
	send := func(size, declared int64) *http.Response {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com/", io.LimitReader(zeros{}, size))
		req.ContentLength = declared
		return b.do(req)
	}
	if resp := send(limit, limit); resp.StatusCode != 200 || body(t, resp) != "104857600" {
		t.Errorf("at the limit: %d", resp.StatusCode)
	}
	if resp := send(limit+1, -1); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked, one over: %d", resp.StatusCode)
	}
	if whole.Load() != limit {
		t.Errorf("the Worker took %d bytes for a whole body", whole.Load())
	}
	got := b.raw("POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 104857601\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 413 ") {
		t.Errorf("declared, one over: %q", got)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// An answer before the end of the body must neither hang nor leave the rest of the body to be read as a request.
func TestAnswerBeforeTheBodyEnds(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "hasty")
	b.worker("hasty", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack() // net/http itself would first read the body
		if err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno")
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}))
	c, err := net.Dial("tcp", b.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "POST /big HTTP/1.1\r\nHost: example.com\r\nContent-Length: 90000\r\n\r\nfirst part")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !resp.Close {
		t.Fatalf("%v, %v", resp, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_, _ = io.WriteString(c, "GET /smuggled HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if rest, _ := io.ReadAll(br); len(rest) != 0 {
		t.Errorf("the edge went on to answer %q", rest)
	}
	if n := len(b.records.list()); n != 1 {
		t.Errorf("%d requests recorded", n)
	}
}

func TestSmallBodiesKeepTheConnection(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "blind")
	b.worker("blind", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	c, err := net.Dial("tcp", b.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReader(c)
	for i := range 20 {
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\n\r\nbody")
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != http.StatusNoContent || resp.Close {
			t.Fatalf("request %d: %v, %v", i, resp, err)
		}
	}
}

// TestARefusalHearsTheClientOut answers in the middle of a body that nobody reads. A connection that is closed on it would be reset,
// and a client that writes first and reads then would see the reset in place of its answer.
func TestARefusalHearsTheClientOut(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "strict")
	b.worker("strict", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "too long", http.StatusRequestEntityTooLarge)
	}))
	c, err := net.Dial("tcp", b.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const most, piece = 100_000, 10_000
	_, _ = fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: %d\r\n\r\n%s", most, strings.Repeat(" ", piece))
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, resp); resp.StatusCode != http.StatusRequestEntityTooLarge || got != "too long\n" || !resp.Close {
		t.Errorf("%d %q, close %v", resp.StatusCode, got, resp.Close)
	}
	for sent := piece; sent < most; sent += piece {
		if _, err := io.WriteString(c, strings.Repeat(" ", piece)); err != nil {
			t.Fatalf("after %d bytes: %v", sent, err)
		}
	}
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		t.Errorf("%q after the answer, %v", rest, err)
	}
}
