package edge_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// echo accepts a WebSocket and sends every message back, until the client says goodbye.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"v1"}})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	for {
		kind, msg, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if string(msg) == "bye" {
			_ = c.Close(4001, "as asked")
			return
		}
		if c.Write(r.Context(), kind, msg) != nil {
			return
		}
	}
}

func echoBed(t *testing.T) *bed {
	t.Helper()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/ws*", "echo")
	b.worker("echo", http.HandlerFunc(echo))
	return b
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	b := echoBed(t)
	c, resp, err := websocket.Dial(t.Context(), "ws://example.com/ws?x", &websocket.DialOptions{HTTPClient: b.client(), Subprotocols: []string{"v1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if c.Subprotocol() != "v1" || resp.Header.Get("Cf-Ray") == "" {
		t.Errorf("subprotocol %q, headers %v", c.Subprotocol(), resp.Header)
	}
	c.SetReadLimit(1 << 20)
	for _, size := range []int{0, 1, 125, 126, 70_000, 900_000} {
		msg := bytes.Repeat([]byte{'x'}, size)
		if err := c.Write(t.Context(), websocket.MessageBinary, msg); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(t.Context()); err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	if b.workers.held() != 1 {
		t.Errorf("%d leases held while the socket is open", b.workers.held())
	}
	_ = c.Write(t.Context(), websocket.MessageText, []byte("bye"))
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 4001 {
		t.Errorf("close frame: %v", err)
	}
	eventually(t, "lease is given back", func() bool { return b.workers.held() == 0 })
	if all := b.records.list(); len(all) != 1 || all[0].HTTPStatus != http.StatusSwitchingProtocols {
		t.Errorf("recorded %+v", all)
	}
}

func TestWebSocketEndsWithEitherSide(t *testing.T) {
	t.Parallel()
	t.Run("client vanishes", func(t *testing.T) {
		t.Parallel()
		b := echoBed(t)
		c, _, err := websocket.Dial(t.Context(), "ws://example.com/ws", &websocket.DialOptions{HTTPClient: b.client()})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.CloseNow()
		eventually(t, "lease is given back", func() bool { return b.workers.held() == 0 })
	})
	t.Run("edge closes", func(t *testing.T) {
		t.Parallel()
		b := echoBed(t)
		c, _, err := websocket.Dial(t.Context(), "ws://example.com/ws", &websocket.DialOptions{HTTPClient: b.client()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		_ = b.edge.Close()
		if _, _, err := c.Read(t.Context()); err == nil {
			t.Error("the socket lives on")
		}
		eventually(t, "lease is given back", func() bool { return b.workers.held() == 0 })
	})
	t.Run("worker refuses", func(t *testing.T) {
		t.Parallel()
		b := newBed(t)
		b.zone("example.com", []string{"example.com"}, "example.com/ws*", "no")
		b.worker("no", http.NotFoundHandler())
		_, resp, err := websocket.Dial(t.Context(), "ws://example.com/ws", &websocket.DialOptions{HTTPClient: b.client()})
		if err == nil || resp.StatusCode != http.StatusNotFound {
			t.Errorf("got %v, %v", resp, err)
		}
	})
}

// The half-close protocol is seen on bytes: the Worker answers only after the client has ended its side.
func TestHalfClosePassesThroughATunnel(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "raw")
	b.worker("raw", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		// The first bytes come together with the head, and must not be lost.
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello ")
		got, _ := io.ReadAll(c)
		_, _ = fmt.Fprintf(c, "after %d bytes", len(got))
	}))
	c, err := net.Dial("tcp", b.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\nearly")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	_, _ = io.WriteString(c, " and late")
	_ = c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(br); err != nil || string(got) != "hello after 14 bytes" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestUpgradeToAnythingElseIsNotPassedOn(t *testing.T) {
	t.Parallel()
	b := mirrorBed(t)
	s := mirrored(t, b.raw("GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"))
	for _, h := range []string{"Upgrade", "Connection", "Http2-Settings"} {
		if s.Header.Get(h) != "" {
			t.Errorf("the Worker got %s: %s", h, s.Header.Get(h))
		}
	}
	// A Worker that switches protocols unasked must not get the client's connection.
	b.zone("example.org", []string{"example.org"}, "example.org/*", "pushy")
	b.worker("pushy", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}))
	if resp := b.get("http://example.org/"); resp.StatusCode != 520 || !strings.Contains(body(t, resp), "520") {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestWebSocketOverTLS(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.localhost", []string{"example.localhost"}, "example.localhost/ws*", "echo")
	b.worker("echo", http.HandlerFunc(echo))
	c, _, err := websocket.Dial(t.Context(), "wss://example.localhost/ws", &websocket.DialOptions{HTTPClient: tlsBed(t, b, "http/1.1")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	_ = c.Write(t.Context(), websocket.MessageText, []byte("over TLS"))
	if _, got, err := c.Read(t.Context()); err != nil || string(got) != "over TLS" {
		t.Errorf("%q, %v", got, err)
	}
	_ = c.CloseNow()
	eventually(t, "lease is given back", func() bool { return b.workers.held() == 0 })
}
