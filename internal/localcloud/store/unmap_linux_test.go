package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// resident is how much of a mapped file this process has in memory, in bytes.
func resident(t *testing.T, path string) (sum int64) {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/smaps")
	must(t, err)
	header := regexp.MustCompile(`^[0-9a-f]+-[0-9a-f]+ `)
	ours := false
	for line := range strings.Lines(string(raw)) {
		if header.MatchString(line) {
			ours = strings.HasSuffix(strings.TrimSpace(line), path)
		}
		if rest, ok := strings.CutPrefix(line, "Rss:"); ok && ours {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			must(t, err)
			sum += kb << 10
		}
	}
	return sum
}

// TestUnmapGivesPagesBack writes and reads a few megabytes, gives them back while others read and write, and finds every byte again.
func TestUnmapGivesPagesBack(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	s, err := store.Open(dir, store.Options{})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	must(t, s.Update(func(tx *store.Tx) error { return tx.Put(store.Namespaces, "ns", store.KVNamespace{ID: "ns"}) }))
	const keys, size = 200, 32 << 10
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, size/2) }
	for i := range keys {
		must(t, s.KV().Put("ns", fmt.Sprint(i), value(i), store.PutOptions{}))
	}
	read := func() {
		for i := range keys {
			if e, err := s.KV().Get("ns", fmt.Sprint(i)); err != nil || !bytes.Equal(e.Value, value(i)) {
				t.Errorf("key %d: %d bytes, %v", i, len(e.Value), err)
			}
		}
	}
	read()
	path := filepath.Join(dir, "cloud.db")
	if held := resident(t, path); held < keys*size {
		t.Fatalf("%d bytes are mapped after %d were read", held, keys*size)
	}
	s.Unmap(1 << 40)
	if held := resident(t, path); held < keys*size {
		t.Errorf("%d bytes are mapped, though they are fewer than what was asked", held)
	}
	s.Unmap(0)
	if held := resident(t, path); held > keys*size/10 {
		t.Errorf("%d bytes are still mapped", held)
	}
	var work sync.WaitGroup
	for range 4 {
		work.Go(read)
		work.Go(func() {
			for i := range keys {
				s.Unmap(0)
				if err := s.KV().Put("ns", fmt.Sprint(keys+i), value(i), store.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	read()
}
