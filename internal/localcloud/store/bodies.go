package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// bodies are files of bytes too large for the database. Each is written once under a random name and on disk before
// a record names it, so a crash leaves at most files that no record names; Open deletes those.
type bodies struct {
	root string

	// A reader holds it shared from looking up a record to pinning its files; whoever deletes files that a commit has
	// just orphaned takes it alone, and so sees every pin of those who still found the old record.
	lookup sync.RWMutex

	mu   sync.Mutex
	pins map[string]*pin
}

type pin struct {
	readers int
	doomed  bool // to be deleted by the last reader
}

func openBodies(root string) (*bodies, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, asFault(err, "create folders of the store")
	}
	return &bodies{root: root, pins: map[string]*pin{}}, asFault(syncFolder(filepath.Dir(root)), "create folders of the store")
}

func (b *bodies) path(id string) string { return filepath.Join(b.root, id[:2], id) }

// write streams r into a new body; on an error nothing stays.
func (b *bodies) write(ctx context.Context, r io.Reader) (id string, size int64, err error) {
	id = randomHex(16)
	shard, err := makeShard(b.root, id[:2])
	if err != nil {
		return "", 0, asFault(err, "write a body")
	}
	path := filepath.Join(shard, id)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", 0, asFault(err, "write a body")
	}
	size, err = io.Copy(f, cancelable{ctx, r})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = syncFolder(shard)
	}
	if err != nil {
		_ = os.Remove(path) // Open would collect it
		return "", 0, asFault(err, "write a body")
	}
	return id, size, nil
}

// cancelable ends a copy when its context does.
type cancelable struct {
	ctx context.Context
	r   io.Reader
}

func (c cancelable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// reading runs find, which looks up a record and names its bodies, and keeps those until release is called.
func (b *bodies) reading(find func() (ids []string, err error)) (release func(), err error) {
	b.lookup.RLock()
	defer b.lookup.RUnlock()
	ids, err := find()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		if b.pins[id] == nil {
			b.pins[id] = &pin{}
		}
		b.pins[id].readers++
	}
	return sync.OnceFunc(func() { b.unpin(ids) }), nil
}

func (b *bodies) unpin(ids []string) {
	var doomed []string
	b.mu.Lock()
	for _, id := range ids {
		p := b.pins[id]
		if p.readers--; p.readers > 0 {
			continue
		}
		delete(b.pins, id)
		if p.doomed {
			doomed = append(doomed, id)
		}
	}
	b.mu.Unlock()
	b.unlink(doomed)
}

// remove deletes bodies that no record names any more, each when its last reader is done.
func (b *bodies) remove(ids []string) {
	if len(ids) == 0 {
		return
	}
	var free []string
	b.lookup.Lock()
	b.mu.Lock()
	for _, id := range ids {
		if p := b.pins[id]; p != nil {
			p.doomed = true
			continue
		}
		free = append(free, id)
	}
	b.mu.Unlock()
	b.lookup.Unlock()
	b.unlink(free)
}

// unlink may leave a file behind when the disk refuses: the next Open collects it.
func (b *bodies) unlink(ids []string) {
	for _, id := range ids {
		_ = os.Remove(b.path(id))
	}
}

// collect deletes every body that is not named, and tells how many.
func (b *bodies) collect(named map[string]bool) (int, error) {
	deleted := 0
	err := filepath.WalkDir(b.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || named[d.Name()] {
			return err
		}
		deleted++
		return os.Remove(path)
	})
	return deleted, asFault(err, "collect orphan bodies")
}

// randomHex gives n random bytes in lower-case hex.
func randomHex(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails since Go 1.24
	return hex.EncodeToString(raw)
}
