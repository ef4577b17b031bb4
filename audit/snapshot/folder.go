package snapshot

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// maxFile is above every snapshot of an account within Cloudflare's limits.
const maxFile = 64 << 20

// FileName says when the snapshot was taken and of what.
func (s *Snapshot) FileName() string {
	return s.At.Format("2006-01-02T15-04-05Z") + "-" + s.Env + ".json"
}

// Keep writes the snapshot into a folder under its own name, or a numbered one when that is taken: nothing is written over.
func (s *Snapshot) Keep(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fault.New(fault.Invalid, "make the folder of snapshots: %w", err)
	}
	name := s.FileName()
	for n := 2; ; n++ {
		path := filepath.Join(dir, name)
		err := s.Write(path)
		if !errors.Is(err, fault.Conflict) {
			return path, err
		}
		name = s.At.Format("2006-01-02T15-04-05Z") + "-" + s.Env + "-" + strconv.Itoa(n) + ".json"
	}
}

// Write writes the snapshot to a new file, which appears whole or not at all; fault.Conflict when there is one of that name.
func (s *Snapshot) Write(path string) error {
	raw, err := s.Encode()
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".snapshot-*")
	if err != nil {
		return fault.New(fault.Invalid, "write %s: %w", path, err)
	}
	defer os.Remove(tmp.Name()) // a second name of the file by then, or a failed attempt
	_, err = tmp.Write(raw)
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Link(tmp.Name(), path) // unlike a rename it never replaces
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return fault.New(fault.Conflict, "%s exists already", path).WithHint("give another name; snapshots are not written over")
	case err != nil:
		return fault.New(fault.Invalid, "write %s: %w", path, err)
	}
	return nil
}

// Entry is a file of a folder of snapshots.
type Entry struct {
	File     string         `json:"file"`
	Env      string         `json:"env,omitempty"`
	At       *time.Time     `json:"at,omitempty"`
	Account  string         `json:"account_id,omitempty"`
	Digest   string         `json:"digest,omitempty"`
	Holds    map[string]int `json:"holds,omitempty"`
	Unseen   int            `json:"unseen"`
	Problem  string         `json:"problem,omitempty"` // why it cannot be believed
	Snapshot *Snapshot      `json:"-"`
	Err      error          `json:"-"`
}

// Describe is the entry of what a file holds.
func Describe(file string, raw []byte) Entry {
	s, err := Parse(raw)
	if err != nil {
		return Entry{File: file, Problem: err.Error(), Err: err}
	}
	return Entry{File: file, Env: s.Env, At: &s.At, Account: s.Account, Digest: s.Digest, Holds: s.Content.Sections(), Unseen: len(s.Unseen), Snapshot: s}
}

// List describes the JSON files of a folder, oldest first, those that cannot be believed last; a folder that is not there holds none.
func List(dir string) ([]Entry, error) {
	found, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Invalid, "list snapshots: %w", err)
	}
	entries := []Entry{}
	for _, f := range found {
		if filepath.Ext(f.Name()) != ".json" || !f.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, f.Name())
		raw, err := readFile(path)
		if err != nil {
			entries = append(entries, Entry{File: path, Problem: err.Error(), Err: err})
			continue
		}
		e := Describe(path, raw)
		e.Snapshot = nil // a folder may hold more than fits
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int {
		switch {
		case a.At == nil || b.At == nil:
			return cmp.Or(cmp.Compare(len(a.Problem), 0)-cmp.Compare(len(b.Problem), 0), cmp.Compare(a.File, b.File))
		default:
			return cmp.Or(a.At.Compare(*b.At), cmp.Compare(a.File, b.File))
		}
	})
	return entries, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		return nil, fault.New(fault.TooLarge, "%s is larger than any snapshot", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read %s: %w", path, err)
	}
	return raw, nil
}
