package cli_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func now() time.Time { return time.Date(2026, 11, 22, 18, 40, 11, 0, time.UTC) }

// bench is cogctl in front of a small working platform: real signatures, real CORS, and an account of the local cloud's API.
type bench struct {
	t      *testing.T
	deps   *cli.Deps
	out    *bytes.Buffer
	err    *bytes.Buffer
	dir    string
	broken func(w http.ResponseWriter, r *http.Request) bool // answers instead, when it wants to
}

func newBench(t *testing.T, fake term.Fake) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	base, err := accountAPI(t, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	api, err := cfapi.New(cfapi.Config{BaseURL: base, Token: token, AccountID: account})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b.platform(c))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	b.deps = cli.NewDeps("test")
	b.deps.Term, b.out, b.err = term.Test(fake)
	b.deps.WorkDir, b.deps.Now = b.dir, now
	b.deps.Target = func(_ context.Context, env string) (*audit.Target, error) {
		e := c.Envs[env]
		return &audit.Target{
			Env: env, Hostname: e.Hostname, Issuer: e.Issuer, Origins: e.Origins, ZoneName: e.Zone, BaseURL: address, HTTP: server.Client(),
			API: api, AccountID: account, Contract: c, Now: now,
		}, nil
	}
	return b
}

func (b *bench) run(args ...string) int {
	b.t.Helper()
	b.out.Reset()
	b.err.Reset()
	return cli.Run(b.t.Context(), b.deps, append(args, "--env", "production"))
}

func (b *bench) platform(c *contract.Contract) http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
	mux.HandleFunc("GET /api/ai/binding", func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]bool{"ai_bound": true}) })
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(c.Auth.JWKS.MaxAgeS))
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &signingKey().PublicKey, KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("POST /auth/guest", func(w http.ResponseWriter, _ *http.Request) { answer(w, map[string]string{"token": b.guest(c)}) })
	mux.HandleFunc("POST /auth/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Admin-Key") != "right" {
			w.WriteHeader(http.StatusForbidden)
			answer(w, map[string]string{"error": "forbidden", "detail": "This needs the admin key."})
			return
		}
		answer(w, map[string]string{"token": b.guest(c)})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.broken != nil && b.broken(w, r) {
			return
		}
		allow(w.Header(), c, r)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func allow(h http.Header, c *contract.Contract, r *http.Request) {
	cc := c.HTTP.CORS
	h.Set("Vary", strings.Join(cc.Vary, ", "))
	if !slices.Contains(c.Envs["production"].Origins, r.Header.Get("Origin")) {
		return
	}
	h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", strings.Join(cc.ExposeHeaders, ", "))
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", strings.Join(cc.Methods, ", "))
		h.Set("Access-Control-Allow-Headers", strings.Join(cc.AllowHeaders, ", "))
		h.Set("Access-Control-Max-Age", strconv.Itoa(cc.MaxAgeS))
	}
}

func (b *bench) guest(c *contract.Contract) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: signingKey(), KeyID: "k1"}}, nil)
	if err != nil {
		b.t.Error(err)
		return ""
	}
	raw, _ := json.Marshal(map[string]any{
		"iss": c.Envs["production"].Issuer, "sub": "guest:0b6a3b6e-52f4-4a5b-9d7a-1f2e3d4c5b6a", "role": "guest", "iat": now().Unix(), "exp": now().Add(time.Hour).Unix(),
	})
	signed, err := signer.Sign(raw)
	if err != nil {
		b.t.Error(err)
		return ""
	}
	text, _ := signed.CompactSerialize()
	return text
}

func TestProvePhase0(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	if code := b.run("prove", "phase0"); code != fault.ExitOK {
		t.Fatalf("exit %d: %s%s", code, b.out, b.err)
	}
	for _, line := range []string{"✓ Phase 0 on api.cognomega.com (production)", "kid k1 of 1 published", `200 {"ai_bound":true}`, "cognomega-api (route 1111"} {
		if !strings.Contains(b.out.String(), line) {
			t.Errorf("%q is not in\n%s", line, b.out)
		}
	}
	kept, err := filepath.Glob(filepath.Join(b.dir, "proofs", "2026-11-22T18-40-11Z-production-*.json"))
	if err != nil || len(kept) != 4 {
		t.Fatalf("kept %v", kept)
	}
	for _, path := range kept {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ Payload []byte }
		var p evidence.Statement
		if err := errors.Join(json.Unmarshal(raw, &e), json.Unmarshal(e.Payload, &p)); err != nil {
			t.Fatal(err)
		}
		raw = e.Payload
		if p.Predicate.Result.Verdict != audit.Pass || len(p.Predicate.Result.Evidence) < 10 || p.Predicate.Contract == "" || p.Predicate.Where.AccountID != account ||
			len(p.Subject) != 2 || p.Subject[1].Name != "worker/cognomega-api" {
			t.Errorf("%s: subjects %+v", path, p.Subject)
		}
		if signature := b.guest(mustLoad(t)); strings.Contains(string(raw), signature[strings.LastIndex(signature, ".")+1:]) {
			t.Errorf("%s holds a usable token", path)
		}
	}
}

func mustLoad(t *testing.T) *contract.Contract {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProveExitCodes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		broken func(http.ResponseWriter, *http.Request) bool
		code   int
		says   string
	}{
		"one failure fails it": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/api/ai/binding" && r.Method == http.MethodGet {
				w.WriteHeader(http.StatusInternalServerError)
				return true
			}
			return false
		}, fault.ExitFinding, "https://api.cognomega.com/api/ai/binding"},
		"no answer is no verdict": {func(w http.ResponseWriter, _ *http.Request) bool {
			if h, ok := w.(http.Hijacker); ok {
				conn, _, err := h.Hijack()
				if err == nil {
					_ = conn.Close()
				}
			}
			return true
		}, fault.ExitAPI, "? inconclusive"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, term.Fake{})
			b.broken = tt.broken
			if code := b.run("prove", "phase0"); code != tt.code || !strings.Contains(b.out.String(), tt.says) {
				t.Errorf("exit %d, want %d:\n%s%s", code, tt.code, b.out, b.err)
			}
		})
	}
}

func TestProveDryRunKeepsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	if code := b.run("prove", "phase0", "--dry-run", "-o", "json"); code != fault.ExitOK || !json.Valid(b.out.Bytes()) {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "proofs")); err == nil {
		t.Error("evidence was kept")
	}
}

func TestPreflightCommand(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	if code := b.run("preflight"); code != fault.ExitOK || !strings.HasPrefix(b.out.String(), "✓ CORS on api.cognomega.com: ") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	b.broken = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/healthz" {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.WriteHeader(http.StatusNoContent)
			return true
		}
		return false
	}
	if code := b.run("preflight"); code != fault.ExitFinding || !strings.Contains(b.out.String(), "https://api.cognomega.com/healthz") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	if code := b.run("token", "guest"); code != fault.ExitOK || strings.Count(b.out.String(), ".") != 2 || strings.Count(b.out.String(), "\n") != 1 || b.err.Len() != 0 {
		t.Fatalf("the token alone belongs on stdout, exit %d: %q %q", code, b.out, b.err)
	}
	text := b.out.String()
	inspect := newBench(t, term.Fake{Stdin: "Bearer " + text})
	if code := inspect.run("token", "inspect"); code != fault.ExitOK || !strings.Contains(inspect.out.String(), "✓ the token verifies with kid k1") {
		t.Errorf("exit %d: %s%s", code, inspect.out, inspect.err)
	}
	if signature := strings.TrimSpace(text[strings.LastIndex(text, ".")+1:]); strings.Contains(inspect.out.String()+inspect.err.String(), signature) {
		t.Error("the token was printed")
	}
	changed := newBench(t, term.Fake{Stdin: text[:len(text)-8] + "AAAAAAA"})
	if code := changed.run("token", "inspect"); code != fault.ExitFinding || !strings.Contains(changed.out.String(), "does not verify") {
		t.Errorf("exit %d: %s%s", code, changed.out, changed.err)
	}
	garbage := newBench(t, term.Fake{Stdin: "not a token"})
	if code := garbage.run("token", "inspect"); code != fault.ExitUsage || strings.Contains(garbage.err.String(), "not a token\n") && garbage.out.Len() > 0 {
		t.Errorf("exit %d: %s%s", code, garbage.out, garbage.err)
	}
}

func TestMintNeedsTheAdminKey(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	b.deps.Getenv = func(string) string { return "" }
	if code := b.run("token", "mint", "--email", "a@example.test"); code != fault.ExitAPI || !strings.Contains(b.err.String(), "COGCTL_ADMIN_KEY") {
		t.Errorf("exit %d: %s", code, b.err)
	}
	for key, want := range map[string]int{"wrong": fault.ExitAPI, "right": fault.ExitOK} {
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if code := b.run("token", "mint", "--email", "a@example.test", "--admin-key-file", file); code != want || strings.Contains(b.err.String(), key+"\n") {
			t.Errorf("%s: exit %d: %s%s", key, code, b.out, b.err)
		}
	}
}

func TestJWKSShow(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{TTY: true, NoColor: true})
	if code := b.run("jwks", "show", "--verify"); code != fault.ExitOK || !strings.Contains(b.out.String(), "✓ a fresh guest token verifies with kid k1") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	b.broken = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/.well-known/jwks.json" {
			_, _ = w.Write([]byte(`{"keys":[]}`))
			return true
		}
		return false
	}
	if code := b.run("jwks", "show"); code != fault.ExitFinding || !strings.Contains(b.out.String(), "the key set is empty") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}

// TestEveryCommandExplainsItself walks the real tree: an example, a sentence, and a JSON document rather than prose for programs.
func TestEveryCommandExplainsItself(t *testing.T) {
	t.Parallel()
	d := cli.NewDeps("test")
	root := cli.NewRoot(d)
	count := 0
	for todo := root.Commands(); len(todo) > 0; todo = todo[1:] {
		cmd := todo[0]
		todo = append(todo, cmd.Commands()...)
		if cmd.Hidden {
			continue
		}
		count++
		if cmd.Example == "" || cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || !strings.Contains(cmd.Example, "cogctl") {
			t.Errorf("%s: short %q, example %q", cmd.CommandPath(), cmd.Short, cmd.Example)
		}
	}
	if count < 25 {
		t.Errorf("only %d commands", count)
	}
}
