package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
	bolt "go.etcd.io/bbolt"
)

// clock is turned by the test alone.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func open(t testing.TB, dir string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// account opens a store that has a namespace "ns", the queues "q" and "dlq", and a bucket "b".
func account(t testing.TB, dir string, o store.Options) *store.Store {
	t.Helper()
	s := open(t, dir, o)
	must(t, s.Update(func(tx *store.Tx) error {
		return errors.Join(
			tx.Put(store.Namespaces, "ns", store.KVNamespace{ID: "ns"}),
			tx.Put(store.Queues, "q", store.Queue{ID: "q"}),
			tx.Put(store.Queues, "dlq", store.Queue{ID: "dlq"}),
			tx.Put(store.Buckets, "b", store.Bucket{Name: "b"}),
		)
	}))
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, kind fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Fatalf("error %v is of kind %q, want %q", err, fault.KindOf(err), kind)
	}
}

func TestOpenTakesTheFolderAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := store.Open(dir, store.Options{})
	must(t, err)
	_, err = store.Open(dir, store.Options{})
	wantKind(t, err, fault.Conflict)
	if want := fmt.Sprintf("process %d", os.Getpid()); !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), want) {
		t.Errorf("%q names neither %s nor %s", err, dir, want)
	}
	must(t, first.Close())
	must(t, first.Close()) // twice is once
	open(t, dir, store.Options{})
}

func TestClosedStoreSaysSo(t *testing.T) {
	t.Parallel()
	s := account(t, t.TempDir(), store.Options{})
	must(t, s.Close())
	nothing := func(*store.Tx) error { return nil }
	for what, err := range map[string]error{
		"view":   s.View(nothing),
		"update": s.Update(nothing),
		"put":    s.KV().Put("ns", "k", nil, store.PutOptions{}),
		"send":   s.Queues().Send("q", []store.Message{{}}),
	} {
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.KV().Get("ns", "k"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("get: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(t *testing.T, dir string)
		options store.Options
		kind    fault.Kind
	}{
		"a visibility delay over the limit": {func(*testing.T, string) {}, store.Options{KVVisibility: 121 * time.Second}, fault.Invalid},
		"another format": {func(t *testing.T, dir string) {
			must(t, open(t, dir, store.Options{}).Close())
			db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, nil)
			must(t, err)
			must(t, db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte("99")) }))
			must(t, db.Close())
		}, store.Options{}, fault.Unsupported},
		"a damaged database": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "cloud.db"), []byte(strings.Repeat("damage", 5000)), 0o600))
		}, store.Options{}, fault.Unavailable},
		"a file in place of the folder": {func(t *testing.T, dir string) {
			must(t, os.Remove(dir))
			must(t, os.WriteFile(dir, nil, 0o600))
		}, store.Options{}, fault.Unavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "cloud")
			must(t, os.Mkdir(dir, 0o700))
			test.prepare(t, dir)
			_, err := store.Open(dir, test.options)
			wantKind(t, err, test.kind)
			if fault.HintOf(err) == "" && test.kind == fault.Unsupported {
				t.Errorf("no way out of: %v", err)
			}
		})
	}
}
