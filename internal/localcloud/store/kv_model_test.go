package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/google/go-cmp/cmp"
)

// kvModel keeps every version there ever was, and forgets nothing.
type kvModel map[string][]kvVersion

type kvVersion struct {
	entry   store.Entry
	deleted bool
	visible time.Time
}

func (m kvModel) at(key string, now time.Time, delay time.Duration, workers bool) (store.Entry, bool) {
	for _, v := range slices.Backward(m[key]) {
		seen := !v.visible.After(now) || !v.entry.Written.Add(delay).After(now)
		if workers && !seen {
			continue
		}
		expired := !v.entry.Expiration.IsZero() && !now.Before(v.entry.Expiration)
		return v.entry, !v.deleted && !expired
	}
	return store.Entry{}, false
}

func (m kvModel) list(prefix string, now time.Time, delay time.Duration, workers bool) (keys []store.KeyInfo) {
	for key := range m {
		if e, ok := m.at(key, now, delay, workers); ok && strings.HasPrefix(key, prefix) {
			keys = append(keys, store.KeyInfo{Name: key, Expiration: e.Expiration, Metadata: e.Metadata})
		}
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i].Name < keys[j].Name })
	return keys
}

// Keys that are prefixes of each other, and bytes that sort apart from their code points.
var modelKeys = []string{"a", "a\x00", "a\x00\x00\x00\x00\x00\x00\x00\x01", "aa", "ab", "ab/c", "ab/d", "b", "é", "\xff", "\xff\xff", "z"}

func TestKVBehavesAsItsModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := &kvRun{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), clock: newClock(), dir: t.TempDir(), model: kvModel{}}
			r.store = account(t, r.dir, store.Options{Now: r.clock.Now})
			for range 200 {
				r.step()
				r.compare()
			}
		})
	}
}

type kvRun struct {
	t     *testing.T
	rnd   *rand.Rand
	clock *clock
	dir   string
	store *store.Store
	delay time.Duration
	model kvModel
}

func (r *kvRun) step() {
	key := modelKeys[r.rnd.IntN(len(modelKeys))]
	switch n := r.rnd.IntN(20); {
	case n < 8:
		r.put(key)
	case n < 11:
		must(r.t, r.store.KV().Delete("ns", key))
		r.model[key] = append(r.model[key], kvVersion{deleted: true, entry: store.Entry{Written: r.clock.Now()}, visible: r.clock.Now().Add(r.delay)})
	case n < 16:
		r.clock.Advance(time.Duration(r.rnd.IntN(40)) * time.Second)
	case n < 17:
		r.delay = []time.Duration{0, 10 * time.Second, time.Minute, 2 * time.Minute}[r.rnd.IntN(4)]
		must(r.t, r.store.KV().SetVisibility(r.delay))
	case n < 19:
		must(r.t, r.store.KV().Sweep())
	default:
		must(r.t, r.store.Close())
		r.store = open(r.t, r.dir, store.Options{Now: r.clock.Now, KVVisibility: r.delay})
	}
}

func (r *kvRun) put(key string) {
	now := r.clock.Now()
	e := store.Entry{Value: []byte(fmt.Sprint(r.rnd.Uint64())), Written: now}
	if r.rnd.IntN(4) == 0 {
		e.Value = append(e.Value, make([]byte, 70_000)...)
	}
	if r.rnd.IntN(2) == 0 {
		e.Expiration = now.Add(time.Duration(1+r.rnd.IntN(90)) * time.Second)
	}
	if r.rnd.IntN(2) == 0 {
		e.Metadata = json.RawMessage(fmt.Sprintf(`{"n":%d}`, r.rnd.IntN(100)))
	}
	must(r.t, r.store.KV().Put("ns", key, e.Value, store.PutOptions{Expiration: e.Expiration, Metadata: e.Metadata}))
	r.model[key] = append(r.model[key], kvVersion{entry: e, visible: now.Add(r.delay)})
}

func (r *kvRun) compare() {
	r.t.Helper()
	kv, now := r.store.KV(), r.clock.Now()
	for _, workers := range []bool{false, true} {
		get, list := kv.Get, kv.List
		if workers {
			get, list = kv.GetVisible, kv.ListVisible
		}
		for _, key := range modelKeys {
			want, ok := r.model.at(key, now, r.delay, workers)
			got, err := get("ns", key)
			if ok && (err != nil || !sameEntry(want, got)) || !ok && fault.KindOf(err) != fault.NotFound {
				r.t.Fatalf("workers=%v key %q: got %.40q %v, want %.40q %v", workers, key, got.Value, err, want.Value, ok)
			}
		}
		prefix := []string{"", "a", "ab/", "\xff", "none"}[r.rnd.IntN(5)]
		if diff := cmp.Diff(r.model.list(prefix, now, r.delay, workers), r.pages(list, prefix)); diff != "" {
			r.t.Fatalf("workers=%v list %q: %s", workers, prefix, diff)
		}
	}
}

// sameEntry is exact, and quicker on large values than a comparison by reflection.
func sameEntry(a, b store.Entry) bool {
	return bytes.Equal(a.Value, b.Value) && bytes.Equal(a.Metadata, b.Metadata) && a.Expiration.Equal(b.Expiration) && a.Written.Equal(b.Written)
}

// pages puts a list together from pages of a random size.
func (r *kvRun) pages(list func(string, store.ListOptions) (store.Page, error), prefix string) (all []store.KeyInfo) {
	o := store.ListOptions{Prefix: prefix, Limit: 1 + r.rnd.IntN(5)}
	for {
		page, err := list("ns", o)
		must(r.t, err)
		if len(page.Keys) > o.Limit || page.Complete != (page.Cursor == "") || !page.Complete && len(page.Keys) < o.Limit {
			r.t.Fatalf("page of %d keys, complete %v, cursor %q, limit %d", len(page.Keys), page.Complete, page.Cursor, o.Limit)
		}
		all = append(all, page.Keys...)
		if o.Cursor = page.Cursor; page.Complete {
			return all
		}
	}
}
