package edge_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/edge"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// bed is an edge over a real store, with Go servers on unix sockets in place of workerd's processes.
type bed struct {
	t       testing.TB
	store   *store.Store
	edge    *edge.Edge
	workers *workers
	records *recorder
	ca      *edge.CA
	caDir   string
	http    *httptest.Server
	log     *lockedBuilder
}

func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{t: t, workers: &workers{addr: map[string][]string{}}, records: &recorder{}, caDir: t.TempDir(), log: &lockedBuilder{}}
	var err error
	if b.store, err = store.Open(t.TempDir(), store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.store.Close() })
	if b.ca, err = edge.LoadOrCreateCA(b.caDir); err != nil {
		t.Fatal(err)
	}
	b.edge = edge.New(edge.Config{
		Store: b.store, Runtime: b.workers, CA: b.ca, Metrics: b.records,
		Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	t.Cleanup(func() { _ = b.edge.Close() })
	b.http = httptest.NewServer(b.edge.Handler())
	t.Cleanup(b.http.Close)
	return b
}

// zone adds a zone, a proxied record for each of the names, and the routes, given as pattern, script, pattern, script.
func (b *bed) zone(name string, names []string, routes ...string) {
	b.t.Helper()
	b.put(store.Zones, name, store.Zone{ID: name, Name: name, Status: "active"})
	for _, n := range names {
		b.record(name, n, true)
	}
	for i := 0; i < len(routes); i += 2 {
		b.put(store.Routes, name+"/"+routes[i], store.Route{ID: routes[i], ZoneID: name, Pattern: routes[i], Script: routes[i+1]})
	}
}

func (b *bed) record(zone, name string, proxied bool) {
	b.t.Helper()
	b.put(store.DNSRecords, zone+"/"+name, store.DNSRecord{ID: name, ZoneID: zone, Type: "AAAA", Name: name, Content: "100::", Proxied: proxied})
}

func (b *bed) put(c store.Collection, id string, v any) {
	b.t.Helper()
	if err := b.store.Update(func(tx *store.Tx) error { return tx.Put(c, id, v) }); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) delete(c store.Collection, id string) {
	b.t.Helper()
	if err := b.store.Update(func(tx *store.Tx) error { return tx.Delete(c, id) }); err != nil {
		b.t.Fatal(err)
	}
}

// worker serves script by h. It is one more process of the script: the first in the list is lent.
func (b *bed) worker(script string, h http.Handler) *httptest.Server {
	b.t.Helper()
	l, err := net.Listen("unix", filepath.Join(socketDir(b.t), "w.sock"))
	if err != nil {
		b.t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	b.t.Cleanup(s.Close)
	b.workers.serve(script, l.Addr().String())
	return s
}

// named serves script by a handler that answers with the script's name.
func (b *bed) named(scripts ...string) {
	for _, s := range scripts {
		b.worker(s, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write([]byte(s))
		}))
	}
}

// get asks the edge over plain HTTP for a URL of one of the account's hostnames.
func (b *bed) get(url string) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(req)
}

func (b *bed) do(req *http.Request) *http.Response {
	b.t.Helper()
	resp, err := b.client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// client dials the edge whatever the URL's host is, and follows nothing.
func (b *bed) client() *http.Client {
	tr := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", b.http.Listener.Addr().String())
	}}
	b.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// workers is a runtime whose processes are sockets.
type workers struct {
	mu      sync.Mutex
	addr    map[string][]string
	leased  int
	refusal error
}

func (w *workers) serve(script, addr string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addr[script] = append(w.addr[script], addr)
}

// retire forgets the oldest process of the script.
func (w *workers) retire(script string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addr[script] = w.addr[script][1:]
}

// refuse makes every Acquire fail.
func (w *workers) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusal = err
}

func (w *workers) Acquire(_ context.Context, script string, _ edge.Prefer) (*edge.Lease, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusal != nil {
		return nil, w.refusal
	}
	if len(w.addr[script]) == 0 {
		return nil, fault.New(fault.NotFound, "script %q does not exist", script)
	}
	w.leased++
	return &edge.Lease{Network: "unix", Addr: w.addr[script][0], VersionID: "v-" + script, Release: func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.leased--
	}}, nil
}

func (w *workers) held() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leased
}

type recorder struct {
	mu  sync.Mutex
	all []store.Invocation
}

func (r *recorder) Record(i store.Invocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, i)
}

func (r *recorder) list() []store.Invocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]store.Invocation(nil), r.all...)
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
