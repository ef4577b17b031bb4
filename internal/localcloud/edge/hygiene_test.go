package edge_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seen is a request as a Worker received it.
type seen struct {
	Method, Target, Host string
	Header               http.Header
	Body                 string
	Length               int64
	Encoding             []string
}

// mirror answers with the request it got.
func mirror(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(seen{r.Method, r.RequestURI, r.Host, r.Header, string(b), r.ContentLength, r.TransferEncoding})
}

func mirrorBed(t *testing.T) *bed {
	t.Helper()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "mirror")
	b.worker("mirror", http.HandlerFunc(mirror))
	return b
}

// raw writes bytes to the edge as they are, and gives all it answers until the connection ends.
func (b *bed) raw(text string) string {
	b.t.Helper()
	c, err := net.Dial("tcp", b.http.Listener.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		b.t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	got, _ := io.ReadAll(c) // an edge that resets has answered all it will
	return string(got)
}

// mirrored decodes what the Worker saw out of a raw answer.
func mirrored(t *testing.T, answer string) seen {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatalf("%v in %q", err, answer)
	}
	defer resp.Body.Close()
	var s seen
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatalf("%v in %q", err, answer)
	}
	return s
}

func TestOnlyTheEdgeSpeaksForTheEdge(t *testing.T) {
	t.Parallel()
	b := mirrorBed(t)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/x?y=1", nil)
	for _, h := range []string{
		"CF-Connecting-IP: 6.6.6.6", "cf-connecting-ip: 7.7.7.7", "CF-Ray: forged", "CF-Visitor: {\"scheme\":\"https\"}", "CF-IPCountry: US",
		"CF-Worker: evil", "Cf-Access-Authenticated-User-Email: a@b.c", "True-Client-IP: 6.6.6.6", "X-Real-IP: 6.6.6.6", "X-Forwarded-For: 6.6.6.6",
		"X-Forwarded-Proto: https", "Connection: keep-alive, X-Hop, Cf-Ray", "X-Hop: 1", "Keep-Alive: 1", "Te: trailers", "Upgrade: h2c", "Http2-Settings: AAA",
		"Proxy-Authorization: Basic x", "Proxy-Connection: close", "Authorization: Bearer t", "Cookie: a=1", "X-Custom: kept",
	} {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Add(k, v)
	}
	resp := b.do(req)
	var got seen
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	ray := resp.Header.Get("Cf-Ray")
	want := http.Header{
		"Authorization": {"Bearer t"}, "Cookie": {"a=1"}, "X-Custom": {"kept"}, "User-Agent": {"Go-http-client/1.1"},
		"Cf-Connecting-Ip": {"127.0.0.1"}, "X-Real-Ip": {"127.0.0.1"}, "Cf-Ray": {ray}, "Cf-Ipcountry": {"XX"},
		"Cf-Visitor": {`{"scheme":"http"}`}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-For": {"6.6.6.6, 127.0.0.1"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Error(diff)
	}
	if got.Target != "/x?y=1" || got.Host != "example.com" || len(ray) != 20 {
		t.Errorf("got %+v, ray %q", got, ray)
	}
}

func TestAnswerHeaders(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("example.com", []string{"example.com"}, "example.com/*", "a")
	b.worker("a", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h["Set-Cookie"] = []string{"a=1", "b=2"}
		h.Set("Server", "worker")
		h.Set("Cf-Ray", "forged")
		h.Set("Connection", "X-Internal")
		h.Set("X-Internal", "1")
		h.Set("Keep-Alive", "timeout=5")
		h["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>plain bytes")
	}))
	resp := b.get("http://example.com/")
	if got := body(t, resp); got != "<html>plain bytes" {
		t.Errorf("body %q", got)
	}
	h := resp.Header
	if h.Get("Server") != "cloudflare" || h.Get("Cf-Ray") == "forged" || h.Get("X-Internal") != "" || h.Get("Keep-Alive") != "" {
		t.Errorf("headers %v", h)
	}
	if _, guessed := h["Content-Type"]; guessed || len(h.Values("Set-Cookie")) != 2 {
		t.Errorf("headers %v", h)
	}
}

func TestSmuggling(t *testing.T) {
	t.Parallel()
	const ok, end = "HTTP/1.1 200 OK\r\n", "Connection: close\r\n\r\n"
	refused := map[string]string{
		"two hosts":                   "GET / HTTP/1.1\r\nHost: example.com\r\nHost: other.test\r\n" + end,
		"no host":                     "GET / HTTP/1.1\r\n" + end,
		"two lengths":                 "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + end + "ab",
		"signed length":               "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: +1\r\n" + end + "a",
		"two encodings":               "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: gzip, chunked\r\n" + end + "0\r\n\r\n",
		"obfuscated encoding":         "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: xchunked\r\n" + end + "0\r\n\r\n",
		"space before the colon":      "GET / HTTP/1.1\r\nHost: example.com\r\nX-A : 1\r\n" + end,
		"bare CR in a value":          "GET / HTTP/1.1\r\nHost: example.com\r\nX-A: 1\rCf-Ray: forged\r\n" + end,
		"NUL in a value":              "GET / HTTP/1.1\r\nHost: example.com\r\nX-A: 1\x00\r\n" + end,
		"host with a path":            "GET / HTTP/1.1\r\nHost: example.com/admin\r\n" + end,
		"host with user":              "GET / HTTP/1.1\r\nHost: user@example.com\r\n" + end,
		"host with an encoded letter": "GET / HTTP/1.1\r\nHost: ex%61mple.com\r\n" + end,
		"fragment":                    "GET /#/../x HTTP/1.1\r\nHost: example.com\r\n" + end,
		"authority form":              "GET example.com:80 HTTP/1.1\r\nHost: example.com\r\n" + end,
		"asterisk":                    "GET * HTTP/1.1\r\nHost: example.com\r\n" + end,
		"CONNECT":                     "CONNECT example.com:80 HTTP/1.1\r\nHost: example.com\r\n" + end,
		"TRACE":                       "TRACE / HTTP/1.1\r\nHost: example.com\r\n" + end,
		"broken chunk":                "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n" + end + "zz\r\nabc\r\n0\r\n\r\n",
	}
	for name, request := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := mirrorBed(t).raw(request); !strings.HasPrefix(got, "HTTP/1.1 4") && !strings.HasPrefix(got, "HTTP/1.1 501 ") {
				t.Errorf("answered %q", got)
			}
		})
	}
	t.Run("length and chunking", func(t *testing.T) {
		t.Parallel()
		b := mirrorBed(t)
		got := b.raw("POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n" + end + "3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: example.com\r\n\r\n")
		s := mirrored(t, got)
		if s.Body != "abc" || s.Length != -1 || strings.Count(got, ok) != 1 || len(b.records.list()) != 1 {
			t.Errorf("the Worker saw %+v; answer %q", s, got)
		}
	})
	t.Run("body as a second request", func(t *testing.T) {
		t.Parallel()
		b := mirrorBed(t)
		s := mirrored(t, b.raw("GET / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 44\r\n"+end+"GET /smuggled HTTP/1.1\r\nHost: example.com\r\n\r\n"))
		if !strings.HasPrefix(s.Body, "GET /smuggled") || len(b.records.list()) != 1 {
			t.Errorf("the Worker saw %+v", s)
		}
	})
	t.Run("absolute form wins over Host", func(t *testing.T) {
		t.Parallel()
		s := mirrored(t, mirrorBed(t).raw("GET http://example.com?q=1 HTTP/1.1\r\nHost: other.test\r\n"+end))
		if s.Host != "example.com" || s.Target != "/?q=1" {
			t.Errorf("the Worker saw %+v", s)
		}
	})
	t.Run("dots are resolved before they are forwarded", func(t *testing.T) {
		t.Parallel()
		s := mirrored(t, mirrorBed(t).raw("GET /a/%2e%2e/b\\c?d=/../e HTTP/1.1\r\nHost: example.com\r\n"+end))
		if s.Target != "/b/c?d=/../e" {
			t.Errorf("the Worker saw %+v", s)
		}
	})
}

// A body that breaks off must not reach the Worker as a whole one, and nobody is left to be answered.
func TestHalfABody(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"chunked":  "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
		"declared": "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 9\r\n\r\nab",
		"large":    "POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 90000\r\n\r\nab",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.zone("example.com", []string{"example.com"}, "example.com/*", "a")
			whole := make(chan bool, 1)
			b.worker("a", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err == nil {
					whole <- true
				}
			}))
			c, err := net.Dial("tcp", b.http.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, request)
			_ = c.Close()
			eventually(t, "request is recorded", func() bool { return len(b.records.list()) == 1 })
			if len(whole) != 0 || b.workers.held() != 0 {
				t.Errorf("the Worker saw a whole body; %d leases held", b.workers.held())
			}
		})
	}
}

func TestTooLongURL(t *testing.T) {
	t.Parallel()
	b := mirrorBed(t)
	if resp := b.get("http://example.com/" + strings.Repeat("a", 17<<10)); resp.StatusCode != http.StatusRequestURITooLong {
		t.Errorf("status %d", resp.StatusCode)
	}
}
