package promotion

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/gate"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/internal/fault"
)

// JournalSchema names the form of an entry.
const JournalSchema = "cognomega/promotion-entry/v1"

// Stage is how far a promotion has come, as far as anybody wrote down.
type Stage string

// The stages. Only Ended leaves nothing open.
const (
	Applying Stage = "applying" // the account may hold a part of it
	Applied  Stage = "applied"  // the account holds it, and nothing proves it
	Ended    Stage = "ended"    // its proofs are kept, whatever they say
)

// Entry is a promotion while it goes on. It is written before anything is applied, so that whoever comes after a run that was
// killed knows what was begun, and what was there before.
type Entry struct {
	Schema     string             `json:"schema"`
	Number     int                `json:"number"` // one more than any before it: clocks of runs may differ
	To         string             `json:"to"`
	At         time.Time          `json:"at"`
	Stage      Stage              `json:"stage"`
	Rollback   bool               `json:"rollback"`
	Release    Release            `json:"release"`
	Run        Run                `json:"run"`
	Before     *routes.Capture    `json:"routes_before"`
	WasServing []evidence.Subject `json:"was_serving"`
	Verdict    audit.Verdict      `json:"verdict,omitempty"` // once it ended
	Proof      string             `json:"proof,omitempty"`
}

// journalDir is where entries are kept: with the releases, since going back needs both.
func journalDir(proofs string) string { return filepath.Join(proofs, gate.ReleasesFolder) }

func (e Entry) path(proofs string) string {
	return filepath.Join(journalDir(proofs), fmt.Sprintf("%s-%06d-%.12s.json", e.To, e.Number, e.Release.ID))
}

// Write keeps an entry in a folder of proofs, whole or not at all. The same entry again replaces itself.
func (e Entry) Write(proofs string) error {
	e.Schema = JournalSchema
	raw, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fault.New(fault.Internal, "encode the entry of the promotion: %w", err)
	}
	path := e.path(proofs)
	if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
		err = renameio.WriteFile(path, append(raw, '\n'), 0o644)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fault.New(fault.Unavailable, "write down the promotion: %w", err)
	}
	return nil
}

// Withdraw takes back an entry of which nothing was applied.
func (e Entry) Withdraw(proofs string) error {
	if err := os.Remove(e.path(proofs)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Unavailable, "take back the entry of the promotion: %w", err)
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Last is the newest entry about an environment in folders of proofs, which are looked through to the bottom; nil where there is
// none. The same entry may lie in several, as each run kept it: the one that got furthest counts.
func Last(to string, folders ...string) (*Entry, error) {
	var last *Entry
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // it was replaced while this looked, or is not there at all
			case err != nil:
				return fault.New(fault.Unavailable, "look for promotions in %s: %w", folder, err)
			case d.IsDir() && filepath.Base(filepath.Dir(path)) == gate.ReleasesFolder:
				return filepath.SkipDir // a release itself
			case d.IsDir() || filepath.Base(filepath.Dir(path)) != gate.ReleasesFolder || !isEntry(d.Name(), to):
				return nil
			}
			e, err := readEntry(path, to)
			if err == nil && (last == nil || e.compare(*last) > 0) {
				last = e
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return last, nil
}

func isEntry(name, to string) bool {
	return strings.HasPrefix(name, to+"-") && filepath.Ext(name) == ".json"
}

var stages = map[Stage]int{Applying: 1, Applied: 2, Ended: 3}

func (e Entry) compare(other Entry) int {
	return cmp.Or(cmp.Compare(e.Number, other.Number), e.At.Compare(other.At), cmp.Compare(stages[e.Stage], stages[other.Stage]))
}

const maxEntry = 16 << 20

// readEntry refuses what is no entry: taking it for none would say that all is well.
func readEntry(path, to string) (*Entry, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "read the entry of a promotion: %w", err)
	}
	e, err := parseEntry(raw)
	if err != nil || e.To != to || filepath.Base(e.path("")) != filepath.Base(path) {
		return nil, fault.New(fault.Denied, "%s is no entry of a promotion to %s: it was changed or cut", path, to).
			WithHint("get it again from the evidence of its run; without it, promote or roll back anew and remove it")
	}
	return e, nil
}

func parseEntry(raw []byte) (*Entry, error) {
	var e Entry
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	switch {
	case len(raw) > maxEntry:
		return nil, fault.New(fault.TooLarge, "an entry of %d bytes", len(raw))
	case dec.Decode(&e) != nil || dec.More() || e.Schema != JournalSchema || stages[e.Stage] == 0 || e.Number < 1 || len(e.Release.ID) != 64:
		return nil, fault.New(fault.Denied, "no entry of schema %s", JournalSchema)
	}
	return &e, nil
}

// Unfinished is a promotion of which nobody knows the end, and what to do about it.
type Unfinished struct {
	Text  string `json:"text"`
	Hint  string `json:"hint"`
	Entry *Entry `json:"-"`
}

// Open is the newest promotion to an environment if it did not come to its end; nil if it did, or there was none.
func Open(to string, folders ...string) (*Unfinished, error) {
	e, err := Last(to, folders...)
	if err != nil || e == nil || e.Stage == Ended {
		return nil, err
	}
	verb, again := "a promotion", "run the deploy workflow again at commit "+fmt.Sprintf("%.12s", e.Run.SHA)+" (cogctl promote), which goes on with it"
	if e.Rollback {
		verb, again = "a rollback", "run the deploy workflow with rollback again (cogctl promote --rollback), which goes on with it"
	} else {
		again += "; or go back: cogctl promote --rollback"
	}
	state := e.To + " may serve a part of it"
	if e.Stage == Applied {
		state = e.To + " serves it, and nothing proves that it holds"
	}
	return &Unfinished{
		Text: fmt.Sprintf("%s is unfinished: release %.12s to %s, begun %s by run %s; %s", verb, e.Release.ID, e.To, e.At.UTC().Format(time.RFC3339), e.Run.RunID, state),
		Hint: again, Entry: e,
	}, nil
}

// Next is the entry of a promotion that is about to be applied. One that goes on with what was left unfinished keeps what was there
// before that.
func Next(e Evidence, last *Entry) Entry {
	n := Entry{
		Number: 1, To: e.To, At: e.At.UTC(), Stage: Applying, Rollback: e.Rollback, Release: e.Release, Run: e.Run, Before: e.Before, WasServing: e.WasServing,
	}
	if last == nil {
		return n
	}
	n.Number = last.Number + 1
	if last.Stage != Ended && last.Release.ID == e.Release.ID && last.Rollback == e.Rollback {
		n.Before, n.WasServing = last.Before, last.WasServing
	}
	return n
}
