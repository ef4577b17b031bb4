package runtime

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/runtime/aidouble"
	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/google/uuid"
)

// bed is an account with a runtime.
type bed struct {
	t     *testing.T
	dir   string
	store *store.Store
	rt    *Runtime
	log   *lockedBuffer
	count map[string]int
}

// workerdPath finds the binary that the Workers' npm packages bring.
func workerdPath(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
	arch := map[string]string{"amd64": "64", "arm64": "arm64"}[goruntime.GOARCH]
	path := filepath.Join(dir, "workers/node_modules/@cloudflare/workerd-"+goruntime.GOOS+"-"+arch, "bin/workerd")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no workerd: %v (run make setup)", err)
	}
	return path
}

func newBed(t *testing.T, adjust ...func(*Config)) *bed {
	t.Helper()
	b := &bed{t: t, dir: t.TempDir(), log: &lockedBuffer{}, count: map[string]int{}}
	b.open(adjust...)
	t.Cleanup(func() {
		b.close()
		if t.Failed() {
			t.Logf("log:\n%s", b.log.String())
		}
	})
	return b
}

func (b *bed) open(adjust ...func(*Config)) {
	b.t.Helper()
	var err error
	if b.store, err = store.Open(b.dir, store.Options{}); err != nil {
		b.t.Fatal(err)
	}
	cfg := Config{
		Dir: b.dir, Workerd: workerdPath(b.t), Store: b.store, AI: aidouble.Handler{},
		Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range adjust {
		f(&cfg)
	}
	if b.rt, err = New(cfg); err != nil {
		b.t.Fatal(err)
	}
	if err := b.rt.Start(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) close() {
	if b.rt == nil {
		return
	}
	if err := b.rt.Close(); err != nil {
		b.t.Error(err)
	}
	if err := b.store.Close(); err != nil {
		b.t.Error(err)
	}
	b.rt = nil
}

// upload is a version being made.
type upload struct {
	name     string
	js       string
	modules  []store.Module
	bindings []store.Binding
	classes  []store.DOClass
	crons    []string
	edit     func(*store.Version)
}

const moduleJS = "application/javascript+module"

func (b *bed) blob(name, media string, content []byte) store.Module {
	b.t.Helper()
	digest, size, err := b.store.PutBlob(bytes.NewReader(content))
	if err != nil {
		b.t.Fatal(err)
	}
	return store.Module{Name: name, Type: media, Digest: digest, Size: size}
}

// candidate stores the modules of an upload and makes its documents.
func (b *bed) candidate(u upload) Candidate {
	b.count[u.name]++
	id := uuid.NewString()
	v := store.Version{
		ID: id, Number: b.count[u.name], Script: u.name, Created: time.Now(), MainModule: "index.js", Bindings: u.bindings,
		Modules:           append([]store.Module{b.blob("index.js", moduleJS, []byte(u.js))}, u.modules...),
		CompatibilityDate: "2026-07-01", CompatibilityFlags: []string{"nodejs_compat"}, DOClasses: u.classes,
	}
	if u.edit != nil {
		u.edit(&v)
	}
	s := store.Script{
		Name: u.name, Tag: u.name, LastVersion: v.Number,
		Deployments: []store.Deployment{{ID: uuid.NewString(), Strategy: "percentage", Versions: []store.VersionShare{{VersionID: id, Percentage: 100}}}},
	}
	for _, c := range u.crons {
		s.Schedules = append(s.Schedules, store.Schedule{Cron: c})
	}
	return Candidate{s, v}
}

func (b *bed) put(c store.Collection, id string, v any) {
	b.t.Helper()
	if err := b.store.Update(func(tx *store.Tx) error { return tx.Put(c, id, v) }); err != nil {
		b.t.Fatal(err)
	}
}

// try deploys as the API does: prepare, save, commit.
func (b *bed) try(us ...upload) ([]Candidate, error) {
	b.t.Helper()
	var ch Change
	for _, u := range us {
		ch.Put = append(ch.Put, b.candidate(u))
	}
	p, err := b.rt.Prepare(context.Background(), ch)
	if err != nil {
		return nil, err
	}
	for _, c := range ch.Put {
		b.put(store.Scripts, c.Script.Name, c.Script)
		b.put(store.Versions, c.Script.Name+"/"+c.Version.ID, c.Version)
	}
	p.Commit()
	return ch.Put, nil
}

func (b *bed) deploy(us ...upload) []Candidate {
	b.t.Helper()
	cs, err := b.try(us...)
	if err != nil {
		b.t.Fatal(err)
	}
	return cs
}

// clientTo speaks HTTP to a script, holding a lease for each request as the edge does.
func (b *bed) do(script string, req *http.Request) (status int, body, version string, err error) {
	lease, err := b.rt.Acquire(req.Context(), script)
	if err != nil {
		return 0, "", "", err
	}
	defer lease.Release()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, lease.Network, lease.Addr)
	}}}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", lease.VersionID, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, string(text), lease.VersionID, err
}

func (b *bed) get(script, path string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.test"+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	status, body, _, err := b.do(script, req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", script, path, err)
	}
	if status != http.StatusOK {
		b.t.Fatalf("%s %s: %d %s", script, path, status, body)
	}
	return body
}

func (b *bed) want(script, path, want string) {
	b.t.Helper()
	if got := b.get(script, path); got != want {
		b.t.Errorf("%s %s:\n got %s\nwant %s", script, path, got, want)
	}
}

// eventually waits for a condition, at most so long that only a defect can take longer.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func wantInvalid(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, fault.Invalid) {
		t.Fatalf("got %v, want a fault.Invalid", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q does not say %q", err, part)
		}
	}
}
