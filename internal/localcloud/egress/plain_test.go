package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/keepalive"
)

// server answers each request with the same bytes, and counts its connections. It ends a connection after an answer when ends is set.
type server struct {
	net.Listener
	connections atomic.Int32
	closed      chan struct{} // told of each connection that is closed
}

func serve(t *testing.T, answer string, ends bool) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &server{Listener: l, closed: make(chan struct{}, 16)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			go func() {
				answerAll(c, answer, ends)
				s.closed <- struct{}{}
			}()
		}
	}()
	return s
}

func answerAll(c net.Conn, answer string, ends bool) {
	defer c.Close()
	for br := bufio.NewReader(c); ; {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if _, err := io.WriteString(c, answer); err != nil || ends {
			return
		}
	}
}

func newEgress(t *testing.T) *Egress {
	t.Helper()
	e := New(nil, slog.New(slog.DiscardHandler))
	t.Cleanup(e.Close)
	return e
}

// spelt is an answer as a script could tell it from another.
func spelt(t *testing.T, via http.RoundTripper, method, url, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := via.RoundTrip(r)
	if err != nil {
		return "failed"
	}
	defer resp.Body.Close()
	head, err := httputil.DumpResponse(resp, false)
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%s%q %v %v", head, said, resp.Trailer, err != nil)
}

// TestPlainAnswersAsTheStandardTransportDoes asks the same servers both ways, twice each, so that connections are used again.
func TestPlainAnswersAsTheStandardTransportDoes(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"length":           "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: 2\r\n\r\nhello",
		"chunked":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-T: end\r\n\r\n",
		"nothing":          "HTTP/1.1 204 No Content\r\n\r\n",
		"interim":          "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"says it ends":     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"error":            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno",
		"no HTTP":          "SSH-2.0-OpenSSH\r\n\r\n",
		"chunk is broken":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"switches unasked": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead} {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				answer := answer
				if method == http.MethodHead {
					if head, _, ok := strings.Cut(answer, "\r\n\r\n"); ok && name != "interim" && name != "no HTTP" {
						answer = head + "\r\n\r\n" // no body follows
					}
				}
				e, url := newEgress(t), "http://"+serve(t, answer, name == "says it ends" || name == "chunk is broken").Addr().String()+"/x?y=1"
				body := ""
				if method == http.MethodPost {
					body = `{"a":1}`
				}
				for range 2 {
					want := "failed" // where the standard one hands over a connection that nobody asked for
					if name != "switches unasked" {
						want = spelt(t, e.transport, method, url, body)
					}
					if got := spelt(t, e.proxy.Transport, method, url, body); got != want {
						t.Errorf("got\n%s\nwant\n%s", got, want)
					}
				}
			})
		}
	}
}

func TestAConnectionIsUsedAgainWhenItsAnswerWasReadToTheEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		ends   bool
		read   int64
		want   int32
	}{
		"to the end":            {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 5, 1},
		"in part":               {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 2, 3},
		"nothing to read":       {"HTTP/1.1 204 No Content\r\n\r\n", false, 0, 1},
		"the server says close": {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false, 5, 3},
		"the server closes":     {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, 5, 3},
		"more than was asked":   {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n", false, 5, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, s := newEgress(t), serve(t, c.answer, c.ends)
			for range 3 {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr().String(), strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := e.proxy.Transport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				if c.read == 5 {
					_, _ = io.ReadAll(resp.Body)
				} else {
					_, _ = io.CopyN(io.Discard, resp.Body, c.read)
				}
				_ = resp.Body.Close()
				if c.ends {
					<-s.closed
				}
			}
			if got := s.connections.Load(); got != c.want {
				t.Errorf("%d connections, want %d", got, c.want)
			}
		})
	}
}

func TestWhoGoesAwayEndsWhatWasAsked(t *testing.T) {
	t.Parallel()
	for _, begins := range []bool{false, true} {
		asked, left := make(chan struct{}), make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if begins {
				_, _ = io.WriteString(w, "data: 1\n\n")
				_ = http.NewResponseController(w).Flush()
			}
			close(asked)
			<-r.Context().Done()
			close(left)
		}))
		t.Cleanup(s.Close)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := newEgress(t).proxy.Transport.RoundTrip(r)
		if begins && err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil {
			t.Errorf("begins %t: the answer ended as if it were whole", begins)
		}
		<-left // the server was told
	}
}

// TestWhatIsNotPlainGoesTheOtherWay looks at who is asked.
func TestWhatIsNotPlainGoesTheOtherWay(t *testing.T) {
	t.Parallel()
	asked := errors.New("the other was asked")
	p := plain{other: tripper(func(*http.Request) (*http.Response, error) { return nil, asked })}
	for name, change := range map[string]func(r *http.Request){
		"TLS":            func(r *http.Request) { r.URL.Scheme = "https" },
		"unknown length": func(r *http.Request) { r.ContentLength = -1 },
		"long":           func(r *http.Request) { r.ContentLength = smallBody + 1 },
		"WebSocket":      func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://server/", strings.NewReader("{}"))
		change(r)
		if resp, err := p.RoundTrip(r); !errors.Is(err, asked) {
			t.Errorf("%s: got %v, %v", name, resp, err)
		}
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A server may talk for ever before its answer begins, in one field or in many, or in interim answers.
func TestAHeadHasABound(t *testing.T) {
	t.Parallel()
	filler := "X-Filler: " + strings.Repeat("x", 1000) + "\r\n"
	head := func(fields int) string {
		return "HTTP/1.1 200 OK\r\n" + strings.Repeat(filler, fields) + "Content-Length: 2\r\n\r\nok"
	}
	for name, c := range map[string]struct {
		answer string
		fails  bool
	}{
		"within it":           {head(120), false},
		"beyond it":           {head(140), true},
		"one field":           {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", keepalive.MaxHead) + "\r\n\r\n", true},
		"interim and interim": {strings.Repeat("HTTP/1.1 103 Early Hints\r\n"+filler+"\r\n", 140) + head(1), true},
		"a body beyond it":    {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 2*keepalive.MaxHead, strings.Repeat("x", 2*keepalive.MaxHead)), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, s := newEgress(t), serve(t, c.answer, false)
			for range 2 { // a connection that is used again has the whole bound again
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr().String(), nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := e.proxy.Transport.RoundTrip(r)
				if errors.Is(err, keepalive.ErrHeadTooLong) != c.fails {
					t.Fatalf("answered by %v", err)
				}
				if err != nil {
					continue
				}
				if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != resp.ContentLength {
					t.Errorf("%d bytes, %v", n, err)
				}
				_ = resp.Body.Close()
			}
		})
	}
}
