package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

func TestKVEntry(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	s := account(t, dir, store.Options{Now: c.Now})
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB, kept as a file
	want := map[string]store.Entry{
		"plain":      {Value: []byte("v"), Written: c.Now()},
		"empty":      {Value: []byte{}, Written: c.Now()},
		"meta":       {Value: []byte("v"), Metadata: json.RawMessage(`{"a":1}`), Written: c.Now()},
		"expire":     {Value: []byte("v"), Expiration: c.Now().Add(time.Minute), Written: c.Now()},
		"large":      {Value: large, Metadata: json.RawMessage(`"m"`), Written: c.Now()},
		"a/b c\x00é": {Value: []byte("v"), Written: c.Now()},
	}
	for key, e := range want {
		must(t, s.KV().Put("ns", key, e.Value, store.PutOptions{Expiration: e.Expiration, Metadata: e.Metadata}))
	}
	for range 2 { // as written, and as read by the next process
		for key, e := range want {
			got, err := s.KV().Get("ns", key)
			if err != nil || !sameEntry(e, got) {
				t.Errorf("%q: %v, %.40q", key, err, got.Value)
			}
		}
		must(t, s.Close())
		s = open(t, dir, store.Options{Now: c.Now})
	}
}

func TestKVRefuses(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := account(t, t.TempDir(), store.Options{Now: c.Now})
	k := strings.Repeat("k", 512)
	tests := map[string]struct {
		ns, key string
		value   int
		o       store.PutOptions
		want    fault.Kind
	}{
		"an empty key":              {"ns", "", 0, store.PutOptions{}, fault.Invalid},
		"a dot":                     {"ns", ".", 0, store.PutOptions{}, fault.Invalid},
		"two dots":                  {"ns", "..", 0, store.PutOptions{}, fault.Invalid},
		"three dots are a key":      {"ns", "...", 0, store.PutOptions{}, ""},
		"the longest key":           {"ns", k, 0, store.PutOptions{}, ""},
		"a key of 513 bytes":        {"ns", k + "k", 0, store.PutOptions{}, fault.Invalid},
		"the largest value":         {"ns", "k", 25 << 20, store.PutOptions{}, ""},
		"a value of a byte more":    {"ns", "k", 25<<20 + 1, store.PutOptions{}, fault.TooLarge},
		"the largest metadata":      {"ns", "k", 0, store.PutOptions{Metadata: json.RawMessage(`"` + strings.Repeat("m", 1022) + `"`)}, ""},
		"metadata of a byte more":   {"ns", "k", 0, store.PutOptions{Metadata: json.RawMessage(`"` + strings.Repeat("m", 1023) + `"`)}, fault.TooLarge},
		"metadata that is not JSON": {"ns", "k", 0, store.PutOptions{Metadata: json.RawMessage(`{`)}, fault.Invalid},
		"an expiration of now":      {"ns", "k", 0, store.PutOptions{Expiration: c.Now()}, fault.Invalid},
		"an unknown namespace":      {"nope", "k", 0, store.PutOptions{}, fault.NotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			wantKind(t, s.KV().Put(test.ns, test.key, make([]byte, test.value), test.o), test.want)
		})
	}
	_, err := s.KV().List("nope", store.ListOptions{})
	wantKind(t, err, fault.NotFound)
	_, err = s.KV().List("ns", store.ListOptions{Limit: 1001})
	wantKind(t, err, fault.Invalid)
	wantKind(t, s.KV().SetVisibility(-1), fault.Invalid)
}

func TestKVPutManyIsAllOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := account(t, dir, store.Options{})
	large := make([]byte, 1<<20)
	err := s.KV().PutMany("ns", []store.KVPair{{Key: "a", Value: large}, {Key: "..", Value: large}})
	wantKind(t, err, fault.Invalid)
	err = s.KV().PutMany("nope", []store.KVPair{{Key: "a", Value: large}})
	wantKind(t, err, fault.NotFound)
	if files := filesUnder(t, filepath.Join(dir, "blobs", "bodies")); len(files) > 0 {
		t.Errorf("refused writes left %v", files)
	}
	must(t, s.KV().PutMany("ns", []store.KVPair{{Key: "a", Value: large}, {Key: "b"}, {Key: "a", Value: []byte("last")}}))
	if e, err := s.KV().Get("ns", "a"); err != nil || string(e.Value) != "last" {
		t.Errorf("got %.10q, %v", e.Value, err)
	}
	must(t, s.KV().DeleteMany("ns", []string{"a", "b", "never"}))
	if page, err := s.KV().List("ns", store.ListOptions{}); err != nil || len(page.Keys) > 0 || !page.Complete {
		t.Errorf("left %v, %v", page, err)
	}
}

func TestKVLargeValuesLeaveNoFiles(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	s := account(t, dir, store.Options{Now: c.Now, KVVisibility: time.Minute})
	put := func(key string, o store.PutOptions) {
		must(t, s.KV().Put("ns", key, make([]byte, 100_000), o))
	}
	files := func(want int, when string) {
		t.Helper()
		if got := len(filesUnder(t, filepath.Join(dir, "blobs", "bodies"))); got != want {
			t.Errorf("%s: %d files, want %d", when, got, want)
		}
	}
	put("overwritten", store.PutOptions{})
	c.Advance(2 * time.Minute)
	put("overwritten", store.PutOptions{})
	put("expires", store.PutOptions{Expiration: c.Now().Add(90 * time.Second)})
	put("deleted", store.PutOptions{})
	must(t, s.KV().Delete("ns", "deleted"))
	files(4, "while the earlier versions may be read")
	c.Advance(61 * time.Second)
	must(t, s.KV().Sweep())
	files(2, "after the delay")
	c.Advance(time.Minute)
	must(t, s.KV().Sweep())
	files(1, "after the expiration")
	must(t, s.KV().DropNamespace("ns"))
	files(0, "after the drop")
	_, err := s.KV().Get("ns", "overwritten")
	wantKind(t, err, fault.NotFound)
	must(t, s.KV().DropNamespace("ns"))
}

func TestKVHotKeyDoesNotGrow(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	s := account(t, dir, store.Options{Now: c.Now, KVVisibility: 10 * time.Second})
	for i := range 100 { // a write a second is never old enough to be seen when the next comes
		must(t, s.KV().Put("ns", "hot", append(make([]byte, 100_000), byte(i)), store.PutOptions{}))
		c.Advance(time.Second)
		must(t, s.KV().Sweep())
	}
	if got := len(filesUnder(t, filepath.Join(dir, "blobs", "bodies"))); got > 12 {
		t.Errorf("%d versions are kept", got)
	}
	e, err := s.KV().GetVisible("ns", "hot")
	if err != nil || e.Value[100_000] != 90 {
		t.Errorf("version %d is seen, %v", e.Value[100_000], err)
	}
}

func TestKVVisibilityStory(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := account(t, t.TempDir(), store.Options{Now: c.Now, KVVisibility: time.Minute})
	sees := func(want, when string) {
		t.Helper()
		e, err := s.KV().GetVisible("ns", "k")
		if got := string(e.Value); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q %v, want %q", when, got, err, want)
		}
		page, err := s.KV().ListVisible("ns", store.ListOptions{})
		if err != nil || len(page.Keys) == 1 != (want != "") {
			t.Errorf("%s: list %v %v", when, page, err)
		}
	}
	must(t, s.KV().Put("ns", "k", []byte("one"), store.PutOptions{}))
	sees("", "a new key, at once")
	if e, err := s.KV().Get("ns", "k"); err != nil || string(e.Value) != "one" {
		t.Errorf("the REST API reads %q, %v", e.Value, err)
	}
	c.Advance(59 * time.Second)
	sees("", "a second early")
	must(t, s.KV().Put("ns", "k", []byte("two"), store.PutOptions{}))
	c.Advance(time.Second)
	sees("one", "after the delay")
	must(t, s.KV().Delete("ns", "k"))
	c.Advance(59 * time.Second)
	sees("two", "the second write, before the delete")
	c.Advance(time.Second)
	sees("", "the delete")
	must(t, s.KV().Put("ns", "k", []byte("three"), store.PutOptions{}))
	sees("", "after a delete, at once")
	must(t, s.KV().SetVisibility(0))
	sees("three", "without a delay")
}

// Concurrent writers share commits, and each must find its own write when it returns.
func TestKVConcurrentWriters(t *testing.T) {
	t.Parallel()
	s := account(t, t.TempDir(), store.Options{})
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 50 {
				key, value := fmt.Sprintf("w%d-%d", w, i), fmt.Sprint(w*i)
				if err := s.KV().Put("ns", key, []byte(value), store.PutOptions{}); err != nil {
					t.Error(err)
				}
				if err := s.KV().Put("nope", key, nil, store.PutOptions{}); fault.KindOf(err) != fault.NotFound {
					t.Errorf("a refused write got %v", err) // and must not take its group with it
				}
				if e, err := s.KV().Get("ns", key); err != nil || string(e.Value) != value {
					t.Errorf("%s: %q, %v", key, e.Value, err)
				}
			}
		})
	}
	writers.Wait()
	if page, err := s.KV().List("ns", store.ListOptions{}); err != nil || len(page.Keys) != 400 {
		t.Errorf("%d keys, %v", len(page.Keys), err)
	}
}
