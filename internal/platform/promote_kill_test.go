package platform_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cognomega/edge/audit/promotion"
)

// TestAPromotionThatIsKilled kills -9 the real program between every two steps of a promotion. Whoever comes next is told, and gets
// to an end in either direction.
func TestAPromotionThatIsKilled(t *testing.T) {
	t.Parallel()
	r := newReleases(t)
	k := &killed{releases: r, key: r.staging.trusted(t), own: r.prod.trusted(t)}
	const worker = "orchestrator-svc"
	r.prove()

	// Onto an account that is empty: ever further, and then to the end.
	for _, writes := range []int{1, 12} {
		k.killAt(writes, nil)
	}
	k.told(k.looks(), "a promotion is unfinished", "may serve a part of it")
	first := k.promote(0)
	first.mustPass(t)
	was := r.prod.serving(t, worker)

	r.change("another release")
	r.prove()
	second := r.staging.serving(t, worker)
	killedAt := 0
	for writes := 1; ; writes++ { // every write that a release of one Worker makes
		if !k.killAt(writes, nil) {
			break
		}
		killedAt++
		k.told(k.looks()[:1], "a promotion is unfinished", "production")
		back := k.promote(0, "--rollback")
		if back.mustPass(t); r.prod.serving(t, worker) != was || back.Release.ID != first.Release.ID {
			t.Errorf("killed after write %d, then rolled back to %s, want %s", writes, r.prod.serving(t, worker), was)
		}
	}
	if killedAt == 0 {
		t.Error("a release of another Worker made no write")
	}
	k.promote(0, "--rollback")

	// After the last write: what serves is right, and nothing says so.
	for name, when := range map[string]func() bool{
		"applied, not proven": func() bool { return k.stage() == promotion.Applied },
		"proven, but not Phase 0": func() bool {
			return k.stage() == promotion.Applied && k.proofs("*-production-promotion*.json") > k.kept
		},
	} {
		k.kept = k.proofs("*-production-promotion*.json")
		if !k.killAt(0, when) {
			t.Fatalf("%s: was not killed", name)
		}
		k.told(k.looks()[:2], "a promotion is unfinished", "nothing proves that it holds")
		if is := r.prod.serving(t, worker); is != second {
			t.Errorf("%s: serves %s, want %s", name, is, second)
		}
		back := k.promote(0, "--rollback")
		if back.mustPass(t); back.Release.ID != first.Release.ID {
			t.Errorf("%s: rolled back to %.12s", name, back.Release.ID)
		}
	}

	// A rollback that is killed goes on to where it was going.
	k.promote(0).mustPass(t)
	if !k.killAt(1, nil, "--rollback") {
		t.Fatal("the rollback was not killed")
	}
	k.told(k.looks()[:1], "a rollback is unfinished", "promote --rollback")
	back := k.promote(0, "--rollback")
	if back.mustPass(t); back.Release.ID != first.Release.ID || r.prod.serving(t, worker) != was {
		t.Errorf("the second try rolled back to %.12s, want %.12s", back.Release.ID, first.Release.ID)
	}
	k.quiet()
	if code, _, errs := r.cogctl(r.environ(r.prod), "verify", back.Proof); code != 0 {
		t.Errorf("verify: exit %d: %s", code, errs)
	}
}

type killed struct {
	*releases
	key, own string
	kept     int
}

func (k *killed) args(args ...string) []string {
	return append([]string{"promote", "--key", k.key, "--key", k.own, "--proofs", k.staging.proofs, "--proofs", k.prod.proofs}, args...)
}

func (k *killed) promote(want int, args ...string) (got promoteReport) {
	k.t.Helper()
	code, out, errs := k.cogctl(append(k.environ(k.prod), k.github()...), k.args(args...)...)
	if code != want {
		k.t.Fatalf("cogctl promote %v: exit %d, want %d\n%s%s", args, code, want, out, errs)
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		k.t.Fatalf("%v in %s", err, out)
	}
	return got
}

func (p promoteReport) mustPass(t *testing.T) {
	t.Helper()
	if p.Verdict != "pass" || p.Phase0.Verdict != "pass" {
		t.Errorf("%+v", p)
	}
}

// killAt kills a promotion, with all that it started, once it has changed the account so often, or when something is so.
func (k *killed) killAt(writes int, when func() bool, args ...string) bool {
	k.t.Helper()
	cmd := exec.Command(filepath.Join(k.repo, "bin", "cogctl"), append(k.args(args...), "--output", "json")...)
	cmd.Dir, cmd.Env = k.root, append(k.environ(k.prod), k.github()...)
	var text strings.Builder
	cmd.Stderr = &text
	before := int(k.prod.writes.Load())
	var once sync.Once
	after := func(method string) {
		if when == nil && (method == http.MethodGet || int(k.prod.writes.Load())-before < writes) || when != nil && !when() {
			return
		}
		once.Do(func() { killTree(cmd.Process.Pid) })
	}
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.prod.after.Store(&after)
	defer k.prod.after.Store(nil)
	_ = cmd.Wait()
	status := cmd.ProcessState
	if strings.Contains(status.String(), "killed") {
		return true
	}
	if !status.Success() {
		k.t.Fatalf("cogctl promote %v: %s\n%s", args, status, text.String())
	}
	return false
}

// killTree kills a process and all that descend from it, children first so that none escapes to another parent. It is stopped
// before, so that it does not see them die.
func killTree(pid int) {
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		_, rest, _ := strings.Cut(fileText(path), ") ")
		fields := strings.Fields(rest)
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			killTree(child)
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// stage is how far the newest promotion is by its entry.
func (k *killed) stage() promotion.Stage {
	last, err := promotion.Last("production", k.prod.proofs)
	if err != nil || last == nil {
		return ""
	}
	return last.Stage
}

func (k *killed) proofs(pattern string) int {
	found, _ := filepath.Glob(filepath.Join(k.prod.proofs, pattern))
	return len(found)
}

// told sees that every command that looks says what was left open, with a way out, and that none calls it well.
func (k *killed) told(looks []look, words ...string) {
	k.t.Helper()
	for _, c := range looks {
		code, out, errs := k.cogctl(k.environ(k.prod), c.args...)
		for _, word := range words {
			if !strings.Contains(out, word) {
				k.t.Errorf("%v does not say %q: exit %d\n%s%s", c.args, word, code, out, errs)
			}
		}
		if !strings.Contains(out, "run the deploy workflow") || code == 0 && c.judges {
			k.t.Errorf("%v: exit %d, and no way out in\n%s", c.args, code, out)
		}
	}
}

// quiet sees that none of them says so.
func (k *killed) quiet() {
	k.t.Helper()
	for _, c := range k.looks() {
		if code, out, errs := k.cogctl(k.environ(k.prod), c.args...); strings.Contains(out, "unfinished:") || out == "" {
			k.t.Errorf("%v: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
}

type look struct {
	args   []string
	judges bool // its exit code says whether all is well
}

func (k *killed) looks() []look {
	return []look{
		{[]string{"gate", "promote", "--proofs", k.staging.proofs, "--proofs", k.prod.proofs, "--key", k.key}, false},
		{[]string{"status", "--env", "production"}, true},
		{[]string{"doctor"}, true},
		{[]string{"report", "--env", "production", "--html", filepath.Join(k.prod.dir, "report.html")}, true},
	}
}

func fileText(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(raw)
}
