// Package egress carries what Workers fetch: to the doubles that answer for a hostname on this machine, and to everything else as it is.
package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cognomega/edge/internal/localcloud/keepalive"
)

// ProtoHeader tells the scheme of what a Worker fetches; workerd sets it itself, so no script can.
const ProtoHeader = "Cogctl-Proto"

// idleLife is how long a connection to a server is kept. Who ends it sooner is noticed before it is used again.
const idleLife = time.Minute

// Egress is one account's way out.
type Egress struct {
	hosts     map[string]http.Handler
	proxy     *httputil.ReverseProxy
	dial      net.Dialer
	pool      *keepalive.Pool
	transport *http.Transport
	log       *slog.Logger
}

// New makes a way out on which hosts are answered for on this machine.
func New(hosts map[string]http.Handler, log *slog.Logger) *Egress {
	e := &Egress{hosts: hosts, dial: net.Dialer{Timeout: 10 * time.Second}, log: log}
	e.pool = keepalive.New(e.dial, idleLife)
	e.transport = &http.Transport{
		DialContext: e.dial.DialContext, DisableCompression: true, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64,
		IdleConnTimeout: idleLife, TLSHandshakeTimeout: 10 * time.Second,
	}
	e.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = r.In.Header.Get(ProtoHeader), r.In.Host
			r.Out.Header.Del(ProtoHeader)
		},
		Transport:     plain{e.pool, e.transport},
		FlushInterval: together, // of answers that say how long they are; the others are flushed with each piece, and gathered
		BufferPool:    buffers{},
		ErrorHandler:  e.failed,
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return e
}

// buffers are what bodies are copied through.
type buffers struct{}

var free = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

func (buffers) Get() []byte { return *free.Get().(*[]byte) }

func (buffers) Put(b []byte) { free.Put(&b) }

// Close lets go of idle connections.
func (e *Egress) Close() {
	e.pool.Close()
	e.transport.CloseIdleConnections()
}

func (e *Egress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		e.tunnel(w, r)
		return
	}
	host := strings.ToLower(r.Host)
	if name, port, err := net.SplitHostPort(host); err == nil && (port == "443" || port == "80") {
		host = name
	}
	if double, ok := e.hosts[host]; ok {
		double.ServeHTTP(w, r)
		return
	}
	g := &gathering{ResponseWriter: w}
	defer g.close()
	e.proxy.ServeHTTP(g, r)
}

// failed answers as Cloudflare does when the way to a server fails, so that a Worker meets here what it meets there.
func (e *Egress) failed(w http.ResponseWriter, r *http.Request, err error) {
	e.log.Info("a Worker's fetch failed", "host", r.Host, "err", err)
	status, code := 520, "520"
	var (
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		timeout net.Error
	)
	switch {
	case errors.As(err, &dns):
		status, code = 530, "1016"
	case errors.Is(err, syscall.ECONNREFUSED):
		status, code = 521, "521"
	case errors.As(err, &cert):
		status, code = 526, "526"
	case errors.As(err, &record):
		status, code = 525, "525"
	case errors.As(err, &timeout) && timeout.Timeout():
		status, code = 522, "522"
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "error code: "+code)
}

// tunnel is a socket that a Worker opens with connect().
func (e *Egress) tunnel(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), e.dial.Timeout)
	defer cancel()
	server, err := e.dial.DialContext(ctx, "tcp", r.Host)
	if err != nil {
		e.failed(w, r, err)
		return
	}
	defer server.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	join(server, client, io.MultiReader(io.LimitReader(buffered, int64(buffered.Reader.Buffered())), client))
}

// join copies both ways until both have ended, passing each side's end on.
func join(server, client net.Conn, fromClient io.Reader) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(server, fromClient)
		closeWrite(server)
	}()
	_, _ = io.Copy(client, server)
	closeWrite(client)
	_ = client.SetReadDeadline(time.Now().Add(time.Second)) // the server is done: nobody is left to read what the client still says
	<-done
}

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
