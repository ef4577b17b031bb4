package platform_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud"
)

// The bounds of the platform under test, a twentieth of the contract's and of KV's: nobody waits for minutes. What is made of them is
// the same code, in the same runtime.
const (
	scale        = 20
	agree        = 60 * time.Second / scale
	visibility   = 120 * time.Second / scale
	staleBound   = agree + visibility
	everyPass    = 30 * time.Second / scale
	committing   = 500 * time.Millisecond // the journal dates a change by when its transaction began, and others see it when it has ended
	costOfAToken = 50                     // micro-credits
)

const (
	inFlight = 5 * time.Second / scale // how long the reconciler takes a change for one that is on its way to KV
	markHold = 5 * time.Second / scale // how long a reader goes by the mark it has read
)

// scaled is a checkout whose Workers have bounds that many times shorter, and whatever else edit changes in their sources.
func scaled(t *testing.T, j journey, edit func(path, text string) string) journey {
	t.Helper()
	root := t.TempDir()
	link := func(path ...string) {
		name := filepath.Join(path...)
		if err := os.Symlink(filepath.Join(j.root, name), filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bin", "contract", "go.mod", "go.sum", "migrations", "policies"} {
		link(name)
	}
	for _, dir := range []string{"workers", ".cache", "stacks"} { // whoever works in them must find this checkout, and bundles are written there
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	link(".cache", "pulumi")
	stack, err := os.ReadDir(filepath.Join(j.root, "stacks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range stack {
		link("stacks", entry.Name())
	}
	for _, name := range []string{"node_modules", "package.json", "package-lock.json", "tsconfig.json"} {
		link("workers", name)
	}
	edits := 0
	err = filepath.WalkDir(filepath.Join(j.root, "workers"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".ts" {
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(j.root, path)
		text := strings.NewReplacer(`"credits-agree": 60,`, fmt.Sprintf(`"credits-agree": %v,`, agree.Seconds()),
			"kvVisibilityMs = 120_000;", fmt.Sprintf("kvVisibilityMs = %d;", visibility.Milliseconds()),
			"markHoldMs = 5_000;", fmt.Sprintf("markHoldMs = %d;", markHold.Milliseconds()),
			"inFlightMs = 5_000;", fmt.Sprintf("inFlightMs = %d;", inFlight.Milliseconds())).Replace(string(raw))
		if text = edit(rel, text); text != string(raw) {
			edits++
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, rel)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(root, rel), []byte(text), 0o644)
	})
	if err != nil || edits != 4 {
		t.Fatalf("%d sources were changed, want the contract's, the mark's, the reconciler's and the reader's: %v", edits, err)
	}
	j.root = root
	return j
}

// reading is one answer about a balance, and when it was asked for.
type reading struct {
	asked  time.Time
	uses   int64 // how many uses the balance counts
	stale  bool
	cache  string
	copied time.Duration // how old the copy is that it shows
}

// stopped is a platform with KV's longest delay, whose reader is asked all the time while uses come in.
type stopped struct {
	*money
	who    header
	seen   []reading
	passes func(since time.Duration, last reading) bool // says when the reconciler is to pass
}

func steadily(since time.Duration, _ reading) bool { return since > everyPass }
func never(time.Duration, reading) bool            { return false }

// singly passes so that its mark is seen while the copy it did not repair is too old.
func singly(since time.Duration, last reading) bool {
	return since > staleBound && last.copied > staleBound/2
}

func (s *stopped) read() {
	s.t.Helper()
	asked := time.Now()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.edge+"/api/credits", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range s.who {
		req.Header.Set(name, value)
	}
	res, err := s.http.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var a answer
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("credits: %d %v", res.StatusCode, err)
	}
	uses := int64(-a.Balance*1e6+0.5) / costOfAToken
	s.seen = append(s.seen, reading{asked, uses, a.Stale, res.Header.Get("X-Cache"), asked.Sub(a.AsOf)})
}

// live lets time go by: a use and a pass of the reconciler now and then, and the reader all the time.
func (s *stopped) live(length time.Duration) {
	s.t.Helper()
	var used, passed time.Time
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	s.read()
	for end := time.Now().Add(length); time.Now().Before(end); <-tick.C {
		if time.Since(used) > 700*time.Millisecond {
			used = time.Now()
			s.call("POST", "/api/billing/usage", `{"tokens_in":1}`, s.who, nil)
		}
		if s.passes(time.Since(passed), s.seen[len(s.seen)-1]) {
			passed = time.Now()
			s.call("POST", "/api/admin/reconcile", "", s.operator(), nil)
		}
		s.read()
	}
}

// oldest is the age of the oldest change that an answer, taken for fresh, leaves out; and how often each source answered.
func (s *stopped) oldest() (age time.Duration, from map[string]int) {
	s.t.Helper()
	recorded, err := s.db.Query(s.t.Context(), "SELECT recorded_at FROM ledger.transfer WHERE kind = 'usage' ORDER BY recorded_at, id")
	if err != nil {
		s.t.Fatal(err)
	}
	var at []time.Time
	for recorded.Next() {
		var one time.Time
		if err := recorded.Scan(&one); err != nil {
			s.t.Fatal(err)
		}
		at = append(at, one)
	}
	from = map[string]int{}
	for _, r := range s.seen {
		from[r.cache]++
		if !r.stale && int(r.uses) < len(at) {
			age = max(age, r.asked.Sub(at[r.uses]))
		}
	}
	return age, from
}

// A reader never gets a balance that leaves out a change older than the stated bound, however late KV shows writes: it gets what is
// young enough, the ledger's, or an old one that says so. That holds when nothing is written to KV any more, when the reconciler alone
// writes while the account changes all the time, and after a single pass. A reader that trusts every copy fails the same test.
func TestABalanceIsNeverOlderThanItsBound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trusting bool
		passes   func(time.Duration, reading) bool
	}{
		"with single passes":                  {passes: singly},
		"with the reconciler alone":           {passes: steadily},
		"for a reader that trusts every copy": {passes: never, trusting: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lateKV(t, c.trusting)
			s.live(2 * staleBound)
			seenLate, from := s.oldest()
			if from["HIT"] == 0 || seenLate < visibility/2 {
				t.Errorf("KV's delay was not seen: %v, from %v", seenLate, from)
			}
			s.passes = c.passes
			s.pause("cognomega-usage-balances") // no projection is written any more
			s.live(3*staleBound + visibility)
			age, from := s.oldest()
			if c.trusting {
				if age <= staleBound {
					t.Errorf("a reader that trusts every copy kept the bound: %v, from %v", age, from)
				}
				return
			}
			if age > staleBound+committing {
				t.Errorf("an answer left out a change of %v ago, the bound is %v; from %v", age, staleBound, from)
			}
			s.must(0, nil, "db", "down")
			s.until("answer that says it is stale", func() bool { s.read(); return s.seen[len(s.seen)-1].stale }, func() string { return fmt.Sprint(s.seen[len(s.seen)-1]) })
		})
	}
}

// lateKV is a platform with short bounds and KV's longest delay, whose reader trusts every copy or does not.
func lateKV(t *testing.T, trusting bool) *stopped {
	t.Helper()
	j := scaled(t, newJourney(t), func(path, text string) string {
		if trusting && strings.HasSuffix(path, "money/mark.ts") {
			return strings.Replace(text, "nowMs: number): boolean {\n", "nowMs: number): boolean {\n  if (copy.version > 0) return true;\n", 1)
		}
		return text
	})
	s := &stopped{money: moneyOn(t, j), passes: steadily}
	s.who = s.user("late@example.test")
	s.delay(visibility)
	return s
}

// delay sets how long a write to KV is not seen by Workers.
func (s *stopped) delay(d time.Duration) {
	s.t.Helper()
	e, err := localcloud.ReadEndpoints(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := e.Token()
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPut, e.Control+"/kv/visibility", strings.NewReader(fmt.Sprintf(`{"ms":%d}`, d.Milliseconds())))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		s.t.Fatalf("set KV's delay: %d %v", res.StatusCode, err)
	}
}

func (s *stopped) pause(queue string) {
	s.t.Helper()
	s.must(0, nil, "queues", "pause", strings.TrimPrefix(queue, "cognomega-"))
}
