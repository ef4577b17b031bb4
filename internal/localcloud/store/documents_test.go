package store_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/google/go-cmp/cmp"
)

func TestDocuments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	routes := []store.Route{{ID: "z1/a", Pattern: "a"}, {ID: "z1/b", Pattern: "b"}, {ID: "z2/a", Pattern: "c"}}
	must(t, s.Update(func(tx *store.Tx) error {
		for _, i := range []int{2, 0, 1} {
			must(t, tx.Put(store.Routes, routes[i].ID, routes[i]))
		}
		var seen store.Route
		must(t, tx.Get(store.Routes, "z1/b", &seen)) // its own write
		return nil
	}))
	check := func(s *store.Store, prefix string, want []store.Route) {
		t.Helper()
		must(t, s.View(func(tx *store.Tx) error {
			got, err := store.All[store.Route](tx, store.Routes, prefix)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			return err
		}))
	}
	check(s, "", routes)
	check(s, "z1/", routes[:2])
	check(s, "z3", nil)

	must(t, s.Update(func(tx *store.Tx) error { return tx.Delete(store.Routes, "z1/a") }))
	check(s, "", routes[1:])
	must(t, s.Close())
	check(open(t, dir, store.Options{}), "", routes[1:])
}

func TestDocumentErrors(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	tests := map[string]struct {
		do   func(tx *store.Tx) error
		kind fault.Kind
	}{
		"get of nothing":    {func(tx *store.Tx) error { return tx.Get(store.Zones, "x", new(store.Zone)) }, fault.NotFound},
		"delete of nothing": {func(tx *store.Tx) error { return tx.Delete(store.Zones, "x") }, fault.NotFound},
		"no id":             {func(tx *store.Tx) error { return tx.Put(store.Zones, "", store.Zone{}) }, fault.Invalid},
		"not JSON":          {func(tx *store.Tx) error { return tx.Put(store.Zones, "x", make(chan int)) }, fault.Invalid},
		"of another shape": {func(tx *store.Tx) error {
			must(t, tx.Put(store.Settings, "n", 7))
			return tx.Get(store.Settings, "n", new(store.Zone))
		}, fault.Internal},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { wantKind(t, s.Update(test.do), test.kind) })
	}
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	changed, stop := s.Watch(store.Zones)
	defer stop()
	mistake := errors.New("mistake")
	err := s.Update(func(tx *store.Tx) error {
		must(t, tx.Put(store.Zones, "z", store.Zone{}))
		return mistake
	})
	if !errors.Is(err, mistake) {
		t.Fatalf("got %v", err)
	}
	wantKind(t, s.View(func(tx *store.Tx) error { return tx.Get(store.Zones, "z", new(store.Zone)) }), fault.NotFound)
	if signalled(changed) {
		t.Error("a transaction that was undone woke a watcher")
	}
}

func signalled(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	zones, stopZones := s.Watch(store.Zones, store.Routes)
	every, stopAll := s.Watch()
	defer stopAll()
	put := func(c store.Collection) {
		must(t, s.Update(func(tx *store.Tx) error { return tx.Put(c, "id", 1) }))
	}
	put(store.Zones)
	put(store.Routes)
	if !signalled(zones) || signalled(zones) || !signalled(every) {
		t.Error("two commits that nobody took yet are one signal")
	}
	put(store.Settings)
	if signalled(zones) || !signalled(every) {
		t.Error("a signal went to the wrong watcher")
	}
	must(t, s.View(func(*store.Tx) error { return nil }))
	must(t, s.Update(func(*store.Tx) error { return nil }))
	if signalled(every) {
		t.Error("nothing was written, and a watcher was woken")
	}
	stopZones()
	put(store.Zones)
	if signalled(zones) {
		t.Error("a stopped watcher was woken")
	}
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	// echo -n hello | sha256sum
	const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	for range 2 { // the same bytes are one blob
		digest, size, err := s.PutBlob(strings.NewReader("hello"))
		if err != nil || digest != hello || size != 5 {
			t.Fatalf("got %s, %d, %v", digest, size, err)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "blobs", "tmp", "blob-left"), []byte("half"), 0o600))
	must(t, s.Close())

	s = open(t, dir, store.Options{})
	f, err := s.OpenBlob(hello)
	must(t, err)
	defer f.Close()
	if _, err := f.Seek(1, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(f); string(rest) != "ello" {
		t.Errorf("read %q", rest)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "blobs", "tmp")); len(left) > 0 {
		t.Errorf("Open left %s", left[0].Name())
	}
	_, err = s.OpenBlob(strings.Repeat("0", 64))
	wantKind(t, err, fault.NotFound)
	_, err = s.OpenBlob("../../cloud.db")
	wantKind(t, err, fault.Invalid)
}

func TestBlobOfABrokenStreamLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	_, _, err := s.PutBlob(io.MultiReader(strings.NewReader("half"), broken{}))
	if !errors.Is(err, errBroken) {
		t.Fatalf("got %v", err)
	}
	if files := filesUnder(t, filepath.Join(dir, "blobs")); len(files) > 0 {
		t.Errorf("left %v", files)
	}
}

var errBroken = errors.New("the line broke")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

func filesUnder(t testing.TB, dir string) (files []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	return files
}
