package contract_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cognomega/edge/contract"
)

// files is a private copy of the contract, for a test to spoil.
func files(t testing.TB) fstest.MapFS {
	t.Helper()
	names, err := filepath.Glob("*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no contract files: %v", err)
	}
	fsys := fstest.MapFS{}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fsys[name] = &fstest.MapFile{Data: raw}
	}
	return fsys
}

// edit replaces text that must be there.
func edit(t testing.TB, fsys fstest.MapFS, file, old, new string) {
	t.Helper()
	text := string(fsys[file].Data)
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %q to spoil", file, old)
	}
	fsys[file] = &fstest.MapFile{Data: []byte(strings.Replace(text, old, new, 1))}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Gateway(); got != "cognomega-api" {
		t.Errorf("gateway %q", got)
	}
	if got, want := len(c.PublicPaths()), 51; got != want {
		t.Errorf("%d public paths, want %d: %v", got, want, c.PublicPaths())
	}
	if kind := c.Workers["auth-svc"].Bindings["KEYS"].Kind(); kind != contract.BindKV {
		t.Errorf("KEYS of auth-svc is %q", kind)
	}
	if text, ok := c.Envs["local"].Setting("issuer"); !ok || text != "https://api.cognomega.localhost" {
		t.Errorf("issuer of local is %q", text)
	}
	if got := c.Auth.SeenEverywhere().String() + " " + c.Auth.Unneeded().String() + " " + c.Auth.ForgottenAfter().String(); got != "8m0s 1h1m0s 7m0s" {
		t.Errorf("rotation waits %s", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range disagreements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := files(t)
			edit(t, fsys, tt.file, tt.old, tt.new)
			c, err := contract.LoadFS(fsys)
			var problems contract.Problems
			if c != nil || !errors.As(err, &problems) {
				t.Fatalf("loaded, error %v", err)
			}
			want := tt.want
			if !strings.Contains(want, ".json: ") {
				want = tt.file + ": " + want
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}

// A queue has one consumer, and dead letters have one too: both are said of two entries together.
func TestConsumersAreHeldAgainstEachOther(t *testing.T) {
	t.Parallel()
	const auth, orchestrator = `"entry": "workers/auth-svc`, `"entry": "workers/orchestrator-svc`
	consumes := func(queue, more string) string {
		return `"consumes": { "` + queue + `": { "why": "w", "batch": 1, "wait_ms": 1, "retries": 1` + more + ` } }, `
	}
	tests := map[string]struct{ auth, orchestrator, want string }{
		"one consumer each":              {consumes("spare", ""), consumes("spare-dead", ""), ""},
		"two consumers of a queue":       {consumes("spare", ""), consumes("spare", ""), "orchestrator-svc.consumes.spare: auth-svc takes this queue's messages already"},
		"dead letters that are kept":     {consumes("spare", `, "dead_letter": "spare-dead"`), consumes("spare-dead", ""), ""},
		"dead letters that nobody takes": {consumes("spare", `, "dead_letter": "spare-dead"`), "", `auth-svc.consumes.spare.dead_letter: nobody takes the messages of "spare-dead"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := files(t)
			edit(t, fsys, "stores.json", `"keys": {`, `"spare": { "why": "w", "kind": "queue", "name": "spare" }, "spare-dead": { "why": "w", "kind": "queue", "name": "spare-dead" }, "keys": {`)
			edit(t, fsys, "workers.json", auth, tt.auth+auth)
			edit(t, fsys, "workers.json", orchestrator, tt.orchestrator+orchestrator)
			c, err := contract.LoadFS(fsys)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if worker, how, ok := c.ConsumerOf("spare"); !ok || worker != "auth-svc" || how.Batch != 1 {
					t.Errorf("spare is consumed by %q, %+v", worker, how)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestLoadGathersEveryProblem(t *testing.T) {
	t.Parallel()
	fsys := files(t)
	edit(t, fsys, "workers.json", `"kv": "keys"`, `"kv": "lost"`)
	edit(t, fsys, "envs.json", `"zone": "cognomega.com"`, `"zone": "elsewhere.test"`)
	edit(t, fsys, "auth.json", `"life_s": 3600`, `"life_s": 0`)
	_, err := contract.LoadFS(fsys)
	var problems contract.Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range problems {
		seen[p.File] = true
	}
	if len(seen) != 3 {
		t.Errorf("problems in %v, want three files:\n%v", seen, err)
	}
}

func TestLoadRefusesMissingAndStrangeFiles(t *testing.T) {
	t.Parallel()
	fsys := files(t)
	fsys["worker.json"] = fsys["workers.json"]
	delete(fsys, "workers.json")
	fsys["slo.json"] = &fstest.MapFile{Data: []byte(`{"a": "` + strings.Repeat("x", 1<<20) + `"}`)}
	_, err := contract.LoadFS(fsys)
	for _, want := range []string{"workers.json: is missing", "worker.json: is not a file of the contract", "slo.json: is larger than 1048576 bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func TestDigestFollowsFactsAndNotLayout(t *testing.T) {
	t.Parallel()
	digest := func(old, new string) string {
		fsys := files(t)
		edit(t, fsys, "auth.json", old, new)
		c, err := contract.LoadFS(fsys)
		if err != nil {
			t.Fatal(err)
		}
		return c.Digest()
	}
	same := digest(`"life_s": 3600`, `"life_s": 3600`)
	if got := digest(`"alg": "RS256",`, "\"alg\":\n\t\"\\u0052S256\" ,"); got != same {
		t.Error("layout changed the digest")
	}
	if got := digest(`"life_s": 3600`, `"life_s": 3601`); got == same {
		t.Error("a changed fact kept the digest")
	}
}

// FuzzLoad holds the loader to two promises on any bytes: it never panics, and what it refuses it refuses as Problems.
func FuzzLoad(f *testing.F) {
	for name, file := range files(f) {
		f.Add(name, file.Data)
	}
	f.Add("slo.json", []byte(`{"a":{"a":1,"a":2}}`))
	f.Add("keys.json", []byte(`{"k":{"why":"w","store":"keys","format":"{"}}`))
	f.Add("envs.json", []byte(strings.Repeat(`[`, 100)))
	f.Add("http.json", []byte("\xff"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		fsys := files(t)
		if _, known := fsys[name]; !known {
			t.Skip("not a file of the contract")
		}
		fsys[name] = &fstest.MapFile{Data: data}
		c, err := contract.LoadFS(fsys)
		var problems contract.Problems
		if (c == nil) == (err == nil) || (err != nil && !errors.As(err, &problems)) {
			t.Fatalf("contract %v, error %v", c != nil, err)
		}
	})
}

// A tenant is kept by as many objects as its rate takes, and by one at least.
func TestShardsFollowTheRate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ count, periodS, want int }{{60, 60, 1}, {60_000, 60, 1}, {60_001, 60, 2}, {2500, 1, 3}, {4_000, 1, 4}} {
		a := contract.Allowance{Rate: contract.Rate{Count: tt.count, PeriodS: tt.periodS, Burst: 1}}
		if got := a.Shards(1000); got != tt.want {
			t.Errorf("%d in %d s: %d objects, want %d", tt.count, tt.periodS, got, tt.want)
		}
	}
}
