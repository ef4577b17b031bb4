package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// prove makes the four proofs of the bench's platform.
func (b *bench) prove(want int) []string {
	b.t.Helper()
	if code := b.run("prove", "phase0"); code != want {
		b.t.Fatalf("exit %d: %s%s", code, b.out, b.err)
	}
	files, err := filepath.Glob(filepath.Join(b.dir, "proofs", "*.json"))
	if err != nil || len(files) != 4 {
		b.t.Fatalf("kept %v, %v", files, err)
	}
	return files
}

func (b *bench) json() map[string]any {
	b.t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(b.out.Bytes(), &doc); err != nil {
		b.t.Fatalf("stdout is not one JSON document: %v\n%s", err, b.out)
	}
	return doc
}

func write(t *testing.T, dir, name string, raw []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestVerifyProofs(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	files := b.prove(fault.ExitOK)
	if code := b.run(append([]string{"verify", "-o", "json"}, files...)...); code != fault.ExitOK || b.err.Len() > 0 {
		t.Fatalf("exit %d: %s%s", code, b.out, b.err)
	}
	doc := b.json()
	proofs := doc["proofs"].([]any)
	if doc["schema"] != "cogctl/verify/v1" || len(proofs) != 4 {
		t.Fatalf("got %s", b.out)
	}
	for i, p := range proofs {
		got := p.(map[string]any)
		says, _ := got["proof"].(map[string]any)
		if got["status"] != "verified" || got["file"] != files[i] || says["verdict"] != "pass" || got["problem"] != nil {
			t.Errorf("got %v", got)
		}
	}
	if code := b.run(append([]string{"verify"}, files...)...); code != fault.ExitOK || strings.Count(b.out.String(), "✓ verified") != 4 || strings.Count(b.out.String(), "✓ pass") != 4 {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if code := b.run("verify", "--show", files[0]); code != fault.ExitOK || b.json()["predicateType"] != "https://cognomega.com/cogctl/proof/v2" {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}

func TestVerifyExitCodes(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	good := b.prove(fault.ExitOK)[0]
	b.broken = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/api/ai/binding" && r.Method == http.MethodGet {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	}
	b.deps.Getenv = func(name string) string {
		return map[string]string{"COGCTL_PROOFS_DIR": filepath.Join(b.dir, "failed")}[name]
	}
	if code := b.run("prove", "phase0"); code != fault.ExitFinding {
		t.Fatalf("exit %d: %s%s", code, b.out, b.err)
	}
	failed := filepath.Join(b.dir, "failed", "2026-11-22T18-40-11Z-production-ai-binding.json")
	flipped := bytes.Replace(read(t, good), []byte(`"sig": "`), []byte(`"sig": "A`), 1)
	changed := write(t, b.dir, "changed.json", flipped)
	text := write(t, b.dir, "text.json", []byte("hello"))
	contract := filepath.Join(b.dir, "contract")
	if err := os.CopyFS(contract, os.DirFS(filepath.Join("..", "..", "..", "contract"))); err != nil {
		t.Fatal(err)
	}
	write(t, contract, "auth.json", bytes.Replace(read(t, filepath.Join(contract, "auth.json")), []byte(`"max_entries": 2048`), []byte(`"max_entries": 2047`), 1))
	other := newBench(t, term.Fake{})
	foreign := other.prove(fault.ExitOK)[0]
	tests := map[string]struct {
		args []string
		code int
		says string
	}{
		"a pass":               {[]string{good}, fault.ExitOK, "✓ verified"},
		"a failure, honestly":  {[]string{failed}, fault.ExitFinding, "✗ fail"},
		"no proof":             {[]string{text}, fault.ExitUsage, "not a DSSE envelope"},
		"no file":              {[]string{filepath.Join(b.dir, "nowhere")}, fault.ExitUsage, "no such file"},
		"a changed one":        {[]string{changed}, fault.ExitAPI, "✗ rejected"},
		"another's":            {[]string{foreign}, fault.ExitAPI, "not trusted here"},
		"another contract":     {[]string{"--contract", contract, good}, fault.ExitInconclusive, "made under contract"},
		"no contract":          {[]string{"--contract", b.dir, good}, fault.ExitUsage, ""},
		"no keys":              {[]string{"--key", filepath.Join(b.dir, "nowhere"), good}, fault.ExitAPI, ""},
		"the worst decides":    {[]string{good, failed, text, changed}, fault.ExitAPI, "✓ verified"},
		"no proof over a fail": {[]string{failed, text}, fault.ExitUsage, "✗ fail"},
		"show of one at most":  {[]string{"--show", good, good}, fault.ExitUsage, ""},
		"show nothing changed": {[]string{"--show", changed}, fault.ExitAPI, ""},
	}
	for name, tt := range tests {
		if code := b.run(append([]string{"verify"}, tt.args...)...); code != tt.code || !strings.Contains(b.out.String(), tt.says) || tt.says == "" && b.out.Len() > 0 {
			t.Errorf("%s: exit %d, want %d: %s%s", name, code, tt.code, b.out, b.err)
		}
	}
	if code := b.run("verify", "-o", "json", changed); code != fault.ExitAPI || b.err.Len() > 0 {
		t.Errorf("exit %d: %s", code, b.err)
	}
	if p := b.json()["proofs"].([]any)[0].(map[string]any); p["status"] != "rejected" || p["proof"] != nil || p["problem"].(map[string]any)["kind"] != "denied" {
		t.Errorf("got %v", p)
	}
}

func TestKeysAreHandedOver(t *testing.T) {
	t.Parallel()
	ci, me := newBench(t, term.Fake{}), newBench(t, term.Fake{})
	proof := ci.prove(fault.ExitOK)[0]
	if code := ci.run("keys", "show"); code != fault.ExitOK || !strings.HasPrefix(ci.out.String(), "-----BEGIN PUBLIC KEY-----") {
		t.Fatalf("exit %d: %s%s", code, ci.out, ci.err)
	}
	public := write(t, me.dir, "ci.pem", ci.out.Bytes())
	if code := me.run("verify", "--key", public, proof); code != fault.ExitOK {
		t.Errorf("exit %d: %s%s", code, me.out, me.err)
	}
	if code := me.run("verify", proof); code != fault.ExitAPI {
		t.Errorf("--key was remembered: exit %d", code)
	}
	if code := me.run("keys", "trust", public, "--name", "ci", "--dry-run"); code != fault.ExitOK {
		t.Errorf("exit %d: %s%s", code, me.out, me.err)
	}
	if _, err := os.Stat(filepath.Join(me.dir, ".local")); err == nil {
		t.Error("--dry-run wrote")
	}
	for _, want := range []bool{true, false} {
		if code := me.run("keys", "trust", public, "--name", "ci", "-o", "json"); code != fault.ExitOK || me.json()["changed"] != want || me.json()["schema"] != "cogctl/keys.trust/v1" {
			t.Errorf("exit %d: %s%s", code, me.out, me.err)
		}
	}
	if code := me.run("verify", proof); code != fault.ExitOK || !strings.Contains(me.out.String(), " ci\n") {
		t.Errorf("exit %d: %s%s", code, me.out, me.err)
	}
	if code := me.run("keys", "list", "-o", "json"); code != fault.ExitOK || len(me.json()["keys"].([]any)) != 1 {
		t.Errorf("exit %d: %s%s", code, me.out, me.err)
	}
	private := filepath.Join(ci.dir, ".local", "evidence", "signing-key.pem")
	if code := me.run("keys", "trust", private); code != fault.ExitUsage || !strings.Contains(me.err.String(), "this is a private key") {
		t.Errorf("exit %d: %s%s", code, me.out, me.err)
	}
	if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

func TestKeysCreate(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{})
	if code := b.run("keys", "show"); code != fault.ExitAPI || !strings.Contains(b.err.String(), "cogctl keys create") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if code := b.run("keys", "create", "--dry-run"); code != fault.ExitOK {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, ".local")); err == nil {
		t.Error("--dry-run wrote")
	}
	ids := map[any]bool{}
	for _, tt := range []struct {
		args    []string
		changed bool
	}{{nil, true}, {nil, false}, {[]string{"--replace"}, true}} {
		if code := b.run(append([]string{"keys", "create", "-o", "json"}, tt.args...)...); code != fault.ExitOK || b.json()["changed"] != tt.changed {
			t.Errorf("%v: exit %d: %s%s", tt.args, code, b.out, b.err)
		}
		ids[b.json()["key_id"]] = true
	}
	if len(ids) != 2 {
		t.Errorf("keys %v", ids)
	}
	if code := b.run("keys", "list"); code != fault.ExitOK || strings.Count(b.out.String(), "yes") != 1 || strings.Count(b.out.String(), "\n") < 3 {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}

func TestAKeyOfTheEnvironmentLandsNowhere(t *testing.T) {
	t.Parallel()
	ci, b := newBench(t, term.Fake{}), newBench(t, term.Fake{})
	ci.prove(fault.ExitOK)
	private := string(read(t, filepath.Join(ci.dir, ".local", "evidence", "signing-key.pem")))
	b.deps.Getenv = func(name string) string { return map[string]string{"COGCTL_EVIDENCE_KEY": private}[name] }
	files := b.prove(fault.ExitOK)
	if _, err := os.Stat(filepath.Join(b.dir, ".local")); err == nil {
		t.Error("the key was kept")
	}
	secret := strings.Split(private, "\n")[1]
	for _, file := range files {
		if bytes.Contains(read(t, file), []byte(secret[20:])) {
			t.Errorf("%s holds the key", file)
		}
	}
	if code := b.run(append([]string{"verify"}, files...)...); code != fault.ExitOK {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if code := ci.run(append([]string{"verify"}, files...)...); code != fault.ExitOK {
		t.Errorf("whoever has that key in a file verifies it too: exit %d: %s%s", code, ci.out, ci.err)
	}
	if code := b.run("keys", "create"); code != fault.ExitAPI {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	b.deps.Getenv = func(name string) string { return map[string]string{"COGCTL_EVIDENCE_KEY": "hunter2-hunter2"}[name] }
	if code := b.run("prove", "phase0"); code != fault.ExitUsage || !strings.Contains(b.err.String(), "COGCTL_EVIDENCE_KEY") || strings.Contains(b.err.String(), "hunter2") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}

// TestStrangersVerifyWithOpenSSL checks a signature with a program that knows nothing of ours.
func TestStrangersVerifyWithOpenSSL(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed; audit/evidence verifies by the specification alone as well")
	}
	b := newBench(t, term.Fake{})
	proof := read(t, b.prove(fault.ExitOK)[0])
	var e struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct{ Sig []byte }
	}
	if err := json.Unmarshal(proof, &e); err != nil {
		t.Fatal(err)
	}
	if code := b.run("keys", "show"); code != fault.ExitOK {
		t.Fatal(b.err)
	}
	key := write(t, b.dir, "key.pem", b.out.Bytes())
	text := write(t, b.dir, "pae", []byte("DSSEv1 28 "+e.PayloadType+" "+itoa(len(e.Payload))+" "+string(e.Payload)))
	sig := write(t, b.dir, "sig", e.Signatures[0].Sig)
	out, err := exec.CommandContext(t.Context(), openssl, "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", text, "-sigfile", sig).CombinedOutput()
	if err != nil {
		t.Errorf("openssl: %v %s", err, out)
	}
}

func itoa(n int) string {
	raw, _ := json.Marshal(n)
	return string(raw)
}

func TestVerifyOnATerminal(t *testing.T) {
	t.Parallel()
	b := newBench(t, term.Fake{TTY: true, Width: 200})
	files := b.prove(fault.ExitOK)
	changed := write(t, b.dir, "changed.json", bytes.ToUpper(read(t, files[0])))
	if code := b.run("verify", files[0], changed); code != fault.ExitUsage {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	if out := b.out.String(); !strings.Contains(out, "\x1b[") || !strings.Contains(out, "✓ verified") || !strings.Contains(out, "✗ rejected") {
		t.Errorf("got %q", out)
	}
	if code := b.run("verify", files[0], "-o", "markdown"); code != fault.ExitOK || !strings.Contains(b.out.String(), "| ✓ verified |") || strings.Contains(b.out.String(), "\x1b[") {
		t.Errorf("exit %d: %q", code, b.out)
	}
}
