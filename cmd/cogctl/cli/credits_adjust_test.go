package cli_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// till is a small billing service: balances in micro-credits, and each key once.
type till struct {
	balances map[string]int64
	keys     map[string]string // key to body
	lose     bool              // answers to adjustments are lost on their way
	asked    int
}

func (s *till) answer(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, "/api/credits") && r.URL.Path != "/api/admin/reconcile" {
		return false
	}
	if r.Header.Get("X-Admin-Key") != "right" {
		s.refuse(w, http.StatusForbidden, "forbidden")
		return true
	}
	switch r.URL.Path {
	case "/api/credits":
		balance, ok := s.balances[r.Header.Get("X-User-Email")]
		if !ok {
			s.refuse(w, http.StatusNotFound, "account_unknown")
			return true
		}
		s.show(w, balance, map[string]any{})
	case "/api/credits/adjust":
		s.adjust(w, r)
	default:
		_, _ = w.Write([]byte(`{"ok":true,"started_ms":1000,"ended_ms":1020,"accounts":3,"entries":2,"uses":1,"uses_shown":0,"complete":true,
			"findings":[{"key":"balance:a@a.test","kind":"old","why":"the write failed","repaired":true}]}`))
	}
	return true
}

func (s *till) adjust(w http.ResponseWriter, r *http.Request) {
	s.asked++
	var body struct {
		Email         string
		Set, Delta    *json.Number
		Reason, Actor string
	}
	raw, _ := json.Marshal(json.NewDecoder(r.Body).Decode(&body))
	key := r.Header.Get("Idempotency-Key")
	text, _ := json.Marshal(body)
	outcome, before := "posted", s.balances[body.Email]
	if string(raw) != "null" || key == "" || body.Reason == "" {
		s.refuse(w, http.StatusBadRequest, "invalid")
		return
	}
	switch was, known := s.keys[key]; {
	case known && was != string(text):
		s.refuse(w, http.StatusConflict, "idempotency_conflict")
		return
	case known:
		outcome = "duplicate"
	case body.Set != nil:
		s.balances[body.Email] = micros(*body.Set)
	default:
		s.balances[body.Email] += micros(*body.Delta)
	}
	s.keys[key] = string(text)
	if s.lose {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_ = conn.Close()
		return
	}
	s.show(w, s.balances[body.Email], map[string]any{"outcome": outcome, "id": "t-1", "applied_credits": float64(s.balances[body.Email]-before) / 1e6})
}

func micros(n json.Number) int64 {
	f, _ := n.Float64()
	if f < 0 {
		return int64(f*1e6 - 0.5)
	}
	return int64(f*1e6 + 0.5)
}

func (s *till) show(w http.ResponseWriter, balance int64, more map[string]any) {
	more["balance_credits"] = float64(balance) / 1e6
	_ = json.NewEncoder(w).Encode(more)
}

func (s *till) refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code})
}

// tillBench is cogctl in a checkout, before a platform with a till.
func tillBench(t *testing.T) (*bench, *till) {
	t.Helper()
	b, s := newBench(t, term.Fake{}), &till{balances: map[string]int64{"ada@a.test": 10_000_000}, keys: map[string]string{}}
	b.broken = s.answer
	b.deps.Getenv = func(name string) string {
		return map[string]string{"COGCTL_ADMIN_KEY": "right", "USER": "op"}[name]
	}
	for _, name := range []string{"go.mod", "stacks/Pulumi.yaml", "contract/x"} {
		path := filepath.Join(b.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return b, s
}

func (b *bench) notes() int {
	kept, _ := filepath.Glob(filepath.Join(b.dir, ".local", "adjustments", "*.json"))
	return len(kept)
}

func TestAdjust(t *testing.T) {
	t.Parallel()
	b, s := tillBench(t)
	give := []string{"credits", "adjust", "Ada@a.test", "--delta", "2.500001", "--reason", "refund"}
	if code := b.run(append(give, "--dry-run")...); code != fault.ExitOK || s.asked != 0 || b.notes() != 0 ||
		!strings.Contains(b.out.String(), "before  10.000000\nchange  2.500001\nafter   12.500001\n") {
		t.Fatalf("exit %d, asked %d: %s%s", code, s.asked, b.out, b.err)
	}
	for _, want := range []int64{12_500_001, 15_000_002} { // an answered change is over: the same command is a new one
		if code := b.run(give...); code != fault.ExitOK || s.balances["ada@a.test"] != want || b.notes() != 0 {
			t.Fatalf("exit %d, balance %d, %d notes: %s%s", code, s.balances["ada@a.test"], b.notes(), b.out, b.err)
		}
	}
	if code := b.run("credits", "adjust", "new@a.test", "--set", "7", "--reason", "opening", "-o", "json"); code != fault.ExitOK || s.balances["new@a.test"] != 7_000_000 ||
		!strings.Contains(b.out.String(), `"balance_before_micro": null`) || !strings.Contains(b.out.String(), `"actor": "cogctl:op"`) {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}

// TestALostAnswerGivesNothingTwice drops the connection after the change was made, as a kill of either side does: the next run of the
// same command asks with the same key.
func TestALostAnswerGivesNothingTwice(t *testing.T) {
	t.Parallel()
	b, s := tillBench(t)
	give := []string{"credits", "adjust", "ada@a.test", "--delta", "5", "--reason", "refund"}
	s.lose = true
	if code := b.run(give...); code != fault.ExitAPI || b.notes() != 1 || !strings.Contains(b.err.String(), "run the same command again") {
		t.Fatalf("exit %d, %d notes: %s%s", code, b.notes(), b.out, b.err)
	}
	s.lose = false
	if code := b.run(append(give, "--dry-run")...); code != fault.ExitOK || !strings.Contains(b.out.String(), "left its key") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if code := b.run(give...); code != fault.ExitOK || s.balances["ada@a.test"] != 15_000_000 || b.notes() != 0 || !strings.Contains(b.out.String(), "was made before") {
		t.Errorf("exit %d, balance %d, %d notes: %s%s", code, s.balances["ada@a.test"], b.notes(), b.out, b.err)
	}
	if len(s.keys) != 1 {
		t.Errorf("asked %d times with %d keys", s.asked, len(s.keys))
	}
}

func TestAdjustRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		code int
		says string
	}{
		"no reason":      {[]string{"a@a.test", "--delta", "1"}, fault.ExitUsage, "reason"},
		"a blank reason": {[]string{"a@a.test", "--delta", "1", "--reason", " "}, fault.ExitUsage, "reason"},
		"both":           {[]string{"a@a.test", "--delta", "1", "--set", "1", "--reason", "r"}, fault.ExitUsage, "set"},
		"neither":        {[]string{"a@a.test", "--reason", "r"}, fault.ExitUsage, "set"},
		"nothing":        {[]string{"a@a.test", "--delta", "0", "--reason", "r"}, fault.ExitUsage, "changes nothing"},
		"a fraction":     {[]string{"a@a.test", "--delta", "0.0000001", "--reason", "r"}, fault.ExitUsage, "decimals"},
		"a system":       {[]string{"system:revenue", "--delta", "1", "--reason", "r"}, fault.ExitUsage, "not a customer"},
		"a key reused":   {[]string{"a@a.test", "--delta", "2", "--reason", "r", "--key", "k"}, fault.ExitAPI, "idempotency_conflict"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, s := tillBench(t)
			s.keys["k"] = "another"
			if code := b.run(append([]string{"credits", "adjust"}, test.args...)...); code != test.code || !strings.Contains(b.err.String(), test.says) || len(s.balances) != 1 {
				t.Errorf("exit %d, want %d: %s%s", code, test.code, b.out, b.err)
			}
		})
	}
	b, _ := tillBench(t)
	b.deps.Getenv = func(name string) string { return map[string]string{"COGCTL_ADMIN_KEY": "wrong"}[name] }
	if code := b.run("credits", "adjust", "ada@a.test", "--delta", "1", "--reason", "r"); code != fault.ExitAPI || strings.Contains(b.err.String()+b.out.String(), "wrong") || b.notes() != 0 {
		t.Errorf("exit %d, %d notes: %s%s", code, b.notes(), b.out, b.err)
	}
}

func TestReconcileRun(t *testing.T) {
	t.Parallel()
	b, _ := tillBench(t)
	if code := b.run("reconcile", "run"); code != fault.ExitOK || !strings.Contains(b.out.String(), "! 1 copy differed from the ledger") || !strings.Contains(b.out.String(), "the write failed") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	b.broken = func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write([]byte(`{"ok":true,"complete":false,"findings":[]}`))
		return true
	}
	if code := b.run("reconcile", "run", "-o", "json"); code != fault.ExitInconclusive || !strings.Contains(b.out.String(), `"schema": "cogctl/reconcile.run/v1"`) {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	b.broken = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"error":"ledger_unavailable"}`))
		return true
	}
	if code := b.run("reconcile", "run"); code != fault.ExitAPI || !strings.Contains(b.err.String(), "503 ledger_unavailable") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}
