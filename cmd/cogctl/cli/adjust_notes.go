package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"github.com/google/uuid"

	"github.com/cognomega/edge/internal/fault"
)

// adjustNotes keeps the key of a change from before it is sent until it is answered: a run that was killed in between leaves it for the
// next run of the same command.
type adjustNotes struct {
	dir string
	now func() time.Time
}

type adjustNote struct {
	adjustment
	Key   string    `json:"idempotency_key"`
	Began time.Time `json:"began_at"`
}

func (d *Deps) adjustNotes() (*adjustNotes, error) {
	l, err := d.layout()
	if err != nil {
		return nil, err
	}
	return &adjustNotes{filepath.Join(l.Local, "adjustments"), d.now}, nil
}

// path is by what the change is: the same command finds it.
func (n *adjustNotes) path(a adjustment) string {
	raw, _ := json.Marshal(a) // strings and numbers always encode
	sum := sha256.Sum256(raw)
	return filepath.Join(n.dir, hex.EncodeToString(sum[:12])+".json")
}

// pending is the key that a run before this one left; empty when none did.
func (n *adjustNotes) pending(a adjustment) (key string, ok bool) {
	var note adjustNote
	raw, err := os.ReadFile(n.path(a))
	if err != nil || json.Unmarshal(raw, &note) != nil || note.Key == "" {
		return "", false
	}
	return note.Key, true
}

// key is the one that was left, or a new one that is on disk when this returns.
func (n *adjustNotes) key(a adjustment) (key string, again bool, err error) {
	if key, ok := n.pending(a); ok {
		return key, true, nil
	}
	note := adjustNote{a, uuid.NewString(), n.now()}
	raw, err := json.MarshalIndent(note, "", "  ")
	if err == nil {
		err = os.MkdirAll(n.dir, 0o700)
	}
	if err == nil {
		err = renameio.WriteFile(n.path(a), append(raw, '\n'), 0o600)
	}
	if err != nil {
		return "", false, fault.New(fault.Unavailable, "keep the key of the change: %w", err)
	}
	return note.Key, false, nil
}

// forget is for a change that was answered.
func (n *adjustNotes) forget(a adjustment) error {
	if err := os.Remove(n.path(a)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Unavailable, "forget the key of a change that was answered: %w", err).WithHint("remove %s: until then the same command repeats that change, and does nothing", n.path(a))
	}
	return nil
}
