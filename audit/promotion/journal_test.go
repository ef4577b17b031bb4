package promotion_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/internal/fault"
)

// entryOf is the entry of a promotion that is about to be applied.
func entryOf(t *testing.T, release string, last *promotion.Entry) promotion.Entry {
	e := good(target(t))
	e.Release.ID, e.WasServing = strings.Repeat(release, 64), serving(bundle)
	return promotion.Next(e, last)
}

func write(t *testing.T, folder string, e promotion.Entry) {
	t.Helper()
	if err := e.Write(folder); err != nil {
		t.Fatal(err)
	}
}

func last(t *testing.T, folders ...string) *promotion.Entry {
	t.Helper()
	e, err := promotion.Last("production", folders...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestWhatIsBegunIsOpenUntilItEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if open, err := promotion.Open("production", dir, filepath.Join(dir, "nowhere")); open != nil || err != nil {
		t.Fatalf("nothing was begun: %+v, %v", open, err)
	}
	e := entryOf(t, "a", nil)
	for _, stage := range []struct {
		is   promotion.Stage
		says string
	}{{promotion.Applying, "may serve a part of it"}, {promotion.Applied, "nothing proves that it holds"}, {promotion.Ended, ""}} {
		e.Stage = stage.is
		write(t, dir, e)
		write(t, dir, e) // twice is once
		open, err := promotion.Open("production", dir)
		if err != nil || (open == nil) != (stage.says == "") || open != nil && (!strings.Contains(open.Text, stage.says) || !strings.Contains(open.Hint, "cogctl promote --rollback")) {
			t.Errorf("%s: %+v, %v", stage.is, open, err)
		}
	}
	if other, err := promotion.Open("staging", dir); other != nil || err != nil {
		t.Errorf("another environment: %+v, %v", other, err)
	}
	got := last(t, dir)
	if e.Schema = promotion.JournalSchema; !reflect.DeepEqual(*got, e) {
		t.Errorf("read back %+v, wrote %+v", got, e)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "releases")); len(left) != 1 {
		t.Errorf("files %v", left)
	}
}

// The evidence of earlier runs lies in folders of its own, each with the entry as that run left it, and clocks may be wrong.
func TestTheNewestEntryDecides(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := entryOf(t, "a", nil)
	write(t, filepath.Join(dir, "run-1"), first)
	second := entryOf(t, "b", &first)
	second.At = first.At.Add(-time.Hour) // its clock was behind
	write(t, filepath.Join(dir, "run-2"), second)
	ended := second
	ended.Stage, ended.Verdict = promotion.Ended, audit.Pass
	write(t, filepath.Join(dir, "run-2-again"), ended)
	if got := last(t, dir); got.Release.ID != second.Release.ID || got.Stage != promotion.Ended || got.Number != 2 {
		t.Errorf("%+v", got)
	}
	third := entryOf(t, "c", last(t, dir))
	write(t, filepath.Join(dir, "run-3"), third)
	if open, err := promotion.Open("production", dir); err != nil || open == nil || open.Entry.Number != 3 {
		t.Fatalf("%+v, %v", open, err)
	}
	if err := third.Withdraw(filepath.Join(dir, "run-3")); err != nil {
		t.Fatal(err)
	}
	if open, err := promotion.Open("production", dir); err != nil || open != nil || third.Withdraw(dir) != nil {
		t.Errorf("taken back: %+v, %v", open, err)
	}
}

// Who goes on with a promotion keeps what was there before it; who begins another does not.
func TestGoingOnKeepsWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	e := good(target(t))
	begun := promotion.Next(e, nil)
	half := e
	half.Before, half.WasServing = capture(target(t), now()), serving("ffffffffffffffff")
	if got := promotion.Next(half, &begun); got.Number != 2 || got.Before != begun.Before || !reflect.DeepEqual(got.WasServing, begun.WasServing) || got.Stage != promotion.Applying {
		t.Errorf("%+v", got)
	}
	another, back, after := half, half, begun
	another.Release.ID, back.Rollback, after.Stage = strings.Repeat("d", 64), true, promotion.Ended
	for name, got := range map[string]promotion.Entry{
		"another release": promotion.Next(another, &begun), "a rollback": promotion.Next(back, &begun), "the same again": promotion.Next(half, &after),
	} {
		if got.Before != half.Before || got.Number != 2 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// An entry that was cut or changed is never taken for none.
func TestAnEntryThatIsNotWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, entryOf(t, "a", nil))
	files, _ := filepath.Glob(filepath.Join(dir, "releases", "production-*.json"))
	if len(files) != 1 {
		t.Fatalf("files %v", files)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "cut": string(raw[:len(raw)/2]), "of another environment": strings.Replace(string(raw), `"to": "production"`, `"to": "staging"`, 1),
		"with another release": strings.Replace(string(raw), strings.Repeat("a", 64), strings.Repeat("b", 64), 1), "with an unknown stage": strings.Replace(string(raw), `"applying"`, `"done"`, 1),
		"with more": string(raw) + "{}", "with another field": strings.Replace(string(raw), `"number"`, `"finished": true, "number"`, 1),
	} {
		if err := os.WriteFile(files[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if open, err := promotion.Open("production", dir); !errors.Is(err, fault.Denied) || fault.HintOf(err) == "" || open != nil {
			t.Errorf("%s: %+v, %v", name, open, err)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"schema":"cognomega/promotion-entry/v1","number":1,"to":"production","stage":"ended"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "releases", "production-000001-aaaaaaaaaaaa.json")
		if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o755), os.WriteFile(path, raw, 0o600)); err != nil {
			t.Fatal(err)
		}
		if e, err := promotion.Last("production", dir); (err == nil) != (e != nil) || e != nil && (e.To != "production" || e.Number != 1) {
			t.Errorf("%q is read as %+v, %v", raw, e, err)
		}
	})
}
