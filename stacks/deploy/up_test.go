package deploy_test

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/cognomega/edge/stacks/deploy"
)

func TestUpTwiceChangesNothingTheSecondTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.must(deploy.Up)
	if n := first.summary()["create"]; n < 14 {
		first.dump()
		t.Fatalf("first up created %d resources", n)
	}
	writes := w.writes.count()
	second := w.must(deploy.Up)
	if got := second.planned(); len(got) > 0 {
		second.dump()
		t.Errorf("second up plans %q", got)
	}
	if n := w.writes.count() - writes; n != 0 {
		t.Errorf("second up made %d writes", n)
	}
	if changes := second.summary(); len(changes) != 1 || changes["same"] == 0 {
		t.Errorf("second up: %v", changes)
	}
	t.Logf("first %d ms, second %d ms", first.of("summary")[0].DurationMS, second.of("summary")[0].DurationMS)
}

// A database that moved is one update, of Hyperdrive alone; a new password is one too, and neither is there the second time.
func TestADatabaseThatMovedIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(deploy.Up)
	for _, moved := range []string{"postgres://app:hunter2-hunter2@db.example.test:6432/app", "postgres://app:another-hunter2@db.example.test:6432/app"} {
		w.database = moved
		r := w.must(deploy.Up)
		if got := r.planned(); len(got) != 1 || !strings.Contains(got[0], "update") || !strings.Contains(got[0], "db") {
			r.dump()
			t.Errorf("planned %q, want an update of the Hyperdrive configuration", got)
		}
		if again := w.must(deploy.Up); len(again.planned()) > 0 {
			t.Errorf("the second time it plans %q", again.planned())
		}
	}
}

// between writes down the report, and does something when the driver says that it applies.
type between struct {
	bytes.Buffer
	once sync.Once
	do   func()
}

func (b *between) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("apply what was judged")) {
		b.once.Do(b.do)
	}
	return b.Buffer.Write(p)
}

// What was not judged is not applied: when the account changes after the judgement, everything is looked at and judged again.
func TestAChangeAfterTheJudgementIsJudgedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(deploy.Up)
	w.spec.Namespaces["keys"] = "test-keys-renamed"
	out := &between{do: func() { w.call(http.MethodPatch, w.record(), map[string]any{"proxied": false}) }}
	if err := deploy.Run(t.Context(), w.config(deploy.Up, out)); err != nil {
		t.Fatalf("up: %v\n%s", err, out.String())
	}
	judged := 0
	for _, l := range parse(t, &out.Buffer) {
		if l.Type == "step" && l.Name == "policy" {
			judged++
		}
	}
	if judged != 2 {
		t.Errorf("judged %d times, want 2", judged)
	}
	w.record()
	w.spec = everything()
	w.must(deploy.Up)
	w.whole()
}
