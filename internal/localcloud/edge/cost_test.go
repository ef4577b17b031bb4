package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// BenchmarkRequest is one small request through the edge to a Go server, with that server's and the client's cost in it.
func BenchmarkRequest(b *testing.B) {
	bed := newBed(b)
	bed.zone("example.com", []string{"example.com"}, "example.com/*", "hello")
	bed.worker("hello", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	c, err := net.Dial("tcp", bed.http.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReader(c)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = io.WriteString(c, "GET /x?y=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatal(resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}

// BenchmarkWebSocket is the round trip of a few bytes through an open tunnel.
func BenchmarkWebSocket(b *testing.B) {
	bed := newBed(b)
	bed.zone("example.com", []string{"example.com"}, "example.com/*", "raw")
	bed.worker("raw", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(c, struct{ io.Reader }{c})
	}))
	c, err := net.Dial("tcp", bed.http.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	br := bufio.NewReader(c)
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		b.Fatal(resp, err)
	}
	message, echo := make([]byte, 70), make([]byte, 70)
	for b.Loop() {
		_, _ = c.Write(message)
		if _, err := io.ReadFull(br, echo); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChange is the first request after a change among 10,000 routes, which compiles the table.
func BenchmarkChange(b *testing.B) {
	bed := newBed(b)
	bed.zone("example.com", []string{"example.com"}, "example.com/*", "hello")
	bed.worker("hello", http.NotFoundHandler())
	err := bed.store.Update(func(tx *store.Tx) error {
		for i := range 10_000 {
			id := fmt.Sprintf("%032x", i)
			r := store.Route{ID: id, ZoneID: "example.com", Pattern: fmt.Sprintf("h%d.example.com/p%d/*", i%100, i), Script: "hello"}
			if err := tx.Put(store.Routes, "example.com/"+id, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodGet, "http://nobody.example.com/", nil)
	for b.Loop() {
		b.StopTimer()
		bed.record("example.com", "other.example.com", true)
		b.StartTimer()
		bed.edge.Handler().ServeHTTP(httptest.NewRecorder(), req)
	}
}
