package cli_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

func TestEnvOnATerminal(t *testing.T) {
	t.Parallel()
	for _, fake := range []term.Fake{{TTY: true, NoColor: true, Width: 120}, {TTY: true, NoColor: true, Width: 50}, {}} {
		b := newBench(t, fake)
		if code := b.run("env", "diff"); code != fault.ExitFinding || !strings.Contains(b.out.String(), "kv_namespaces.cognomega-keys") ||
			!strings.Contains(b.out.String(), "hint  what a deployment would put right: cogctl preview --refresh --env production") {
			t.Errorf("exit %d: %s%s", code, b.out, b.err)
		}
		if code := b.run("env", "snapshot"); code != fault.ExitOK || !strings.Contains(b.out.String(), "2026-11-22T18-40-11Z-production.json") {
			t.Errorf("exit %d: %s%s", code, b.out, b.err)
		}
		if code := b.run("env", "list"); code != fault.ExitOK || !strings.Contains(strings.Join(strings.Fields(b.out.String()), " "), "1 DNS record, 1 route, 1") {
			t.Errorf("exit %d: %s%s", code, b.out, b.err)
		}
	}
}

// TestEnvIsJSONForPrograms decodes what every command prints, with nothing else allowed in it.
func TestEnvIsJSONForPrograms(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	file := filepath.Join(b.dir, "a.json")
	type side struct {
		Source, Env, At, Digest string
		Account                 string `json:"account_id"`
	}
	type change struct {
		Op, Path, Why string
		Was, Is       any
	}
	type entry struct {
		File, Env, At, Digest, Problem string
		Account                        string `json:"account_id"`
		Holds                          map[string]int
		Unseen                         int
	}
	var list struct {
		Schema    string
		Snapshots []entry
	}
	var diff struct {
		Schema, Verdict   string
		A, B              side
		Changes, Expected []change
		Unseen            []struct{ Section, Why, Hint string }
		Disagreements     []any
	}
	for _, tt := range []struct {
		args   []string
		code   int
		into   any
		schema func() string
	}{
		{[]string{"env", "snapshot", "--out", file}, fault.ExitOK, nil, nil},
		{[]string{"env", "verify", file}, fault.ExitOK, &list, func() string { return list.Schema }},
		{[]string{"env", "list", b.dir}, fault.ExitOK, &list, func() string { return list.Schema }},
		{[]string{"env", "diff", file, "declared"}, fault.ExitFinding, &diff, func() string { return diff.Schema }},
	} {
		if code := b.run(append(tt.args, "-o", "json")...); code != tt.code {
			t.Fatalf("%q: exit %d: %s", tt.args, code, b.err)
		}
		if tt.into == nil {
			if kept, err := os.ReadFile(file); err != nil || string(kept) != b.out.String() {
				t.Errorf("what is printed is not what is kept: %v", err)
			}
			continue
		}
		dec := json.NewDecoder(b.out)
		dec.DisallowUnknownFields()
		if err := dec.Decode(tt.into); err != nil || dec.More() {
			t.Errorf("%q: %v", tt.args, err)
		}
		if want := "cogctl/env." + tt.args[1] + "/v1"; tt.schema() != want {
			t.Errorf("schema %q, want %q", tt.schema(), want)
		}
	}
	if diff.Verdict != "fail" || diff.A.Source != file || len(diff.Changes) == 0 || len(list.Snapshots) != 1 || list.Snapshots[0].Problem != "" {
		t.Errorf("%+v %+v", diff, list)
	}
}

// counter lets requests through and counts those that could change something.
type counter struct {
	writes, reads atomic.Int64
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		c.reads.Add(1)
	} else {
		c.writes.Add(1)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestEnvOnlyReadsTheAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	base, err := accountAPI(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	count := &counter{}
	target, err := b.deps.Target(t.Context(), "production")
	if err != nil {
		t.Fatal(err)
	}
	if target.API, err = cfapi.New(cfapi.Config{BaseURL: base, Token: token, AccountID: account, HTTP: &http.Client{Transport: count}}); err != nil {
		t.Fatal(err)
	}
	b.deps.Target = func(context.Context, string) (*audit.Target, error) { return target, nil }
	if code := b.run("env", "snapshot", "--dry-run"); code != fault.ExitOK {
		t.Fatalf("exit %d: %s", code, b.err)
	}
	if code := b.run("env", "diff"); code != fault.ExitFinding {
		t.Fatalf("exit %d: %s", code, b.err)
	}
	if count.writes.Load() != 0 || count.reads.Load() < 20 {
		t.Errorf("%d writes, %d reads", count.writes.Load(), count.reads.Load())
	}
	if left, err := os.ReadDir(b.dir); err != nil || len(left) != 0 {
		t.Errorf("a dry run left %v, %v", left, err)
	}
}
