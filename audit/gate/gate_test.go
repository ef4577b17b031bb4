package gate_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/gate"
	"github.com/cognomega/edge/contract"
)

func now() time.Time { return time.Date(2026, 11, 22, 18, 40, 0, 0, time.UTC) }

// seen is the evidence of a check that says how it ended.
type seen struct {
	Verdict audit.Verdict `json:"verdict"`
}

func check(name string) audit.Check {
	return audit.Check{Name: name, Title: "title of " + name, Judge: audit.Rejudge(func(_ *audit.Target, e seen) (audit.Result, error) {
		r := audit.Conclude("it says "+string(e.Verdict), nil, e)
		r.Verdict = e.Verdict
		return r, nil
	})}
}

// names are what gate promote wants, written out again.
func names() []string { return []string{"ai-binding", "jwks", "preflight", "routes", "slo-ai-binding"} }

// bed is a folder of proofs.
type bed struct {
	t      *testing.T
	c      *contract.Contract
	signer evidence.Signer
	dir    string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	s, err := evidence.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	return &bed{t: t, c: c, signer: s, dir: t.TempDir()}
}

// proof is one to be kept; zero values are those of a good one.
type proof struct {
	env, account, bundle string
	age                  time.Duration
	verdict              audit.Verdict
	contract             *contract.Contract
	signer               *evidence.Signer
	subjects             []evidence.Subject
}

func (b *bed) keep(name string, p proof) string {
	b.t.Helper()
	if p.env == "" {
		p.env = "staging"
	}
	if p.account == "" {
		p.account = "fedcba9876543210fedcba9876543210"
	}
	if p.bundle == "" {
		p.bundle = "0011223344556677"
	}
	if p.verdict == "" {
		p.verdict = audit.Pass
	}
	if p.contract == nil {
		p.contract = b.c
	}
	if p.signer == nil {
		p.signer = &b.signer
	}
	if p.subjects == nil {
		p.subjects = []evidence.Subject{subject("a", p.bundle, "v1"), subject("b", "8899aabbccddeeff", "v1")}
	}
	e := p.contract.Envs[p.env]
	t := &audit.Target{
		Env: p.env, Hostname: e.Hostname, ZoneName: e.Zone, BaseURL: &url.URL{Scheme: "https", Host: e.Hostname}, AccountID: p.account, Contract: p.contract, Now: now,
	}
	r, err := check(name).Judge(t, []byte(`{"verdict":"`+string(p.verdict)+`"}`))
	if err != nil {
		b.t.Fatal(err)
	}
	path, err := evidence.Keep(b.t.Context(), b.dir, check(name), t, evidence.Origin{Tool: "test", At: now().Add(-p.age), Signer: *p.signer, Subjects: p.subjects}, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return path
}

func subject(worker, bundle, version string) evidence.Subject {
	s := evidence.Subject{Name: "worker/" + worker, Digest: map[string]string{"cloudflareEtag": "e-" + worker}, Annotations: map[string]string{"version_id": version}}
	if bundle != "" {
		s.Digest["bundleSha256Head"] = bundle
	}
	return s
}

func (b *bed) decide() *gate.Decision {
	b.t.Helper()
	files, err := gate.Read(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	trust := evidence.Verifier{Ring: evidence.Ring{b.signer.ID: b.signer.Key}, Contract: b.c}
	for _, name := range names() {
		trust.Checks = append(trust.Checks, check(name))
	}
	d, err := gate.Decide(b.t.Context(), gate.Ask{Gate: "promote", Env: "production", Files: files, Now: now(), Trust: trust})
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (b *bed) all() {
	for _, name := range names() {
		b.keep(name, proof{age: 10 * time.Minute})
	}
}

func (b *bed) flip(path string, at int) {
	b.t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	raw[at] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func TestAGateIsOpenWhenEveryProofHolds(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.all()
	d := b.decide()
	if !d.Open || d.Env != "staging" || d.Bundles["a"] != "0011223344556677" || len(d.Links) != len(names()) {
		t.Errorf("%+v", d)
	}
	for i, l := range d.Links {
		if l.Check != names()[i] || l.State != gate.Met || l.Key.ID != b.signer.ID || l.AgeSeconds != 600 || len(l.SHA256) != 64 || l.Verdict != audit.Pass {
			t.Errorf("%+v", l)
		}
	}
}

// Each plants one thing that must shut the gate, beside proofs that would open it.
func TestWhatShutsAGate(t *testing.T) {
	t.Parallel()
	later := proof{age: time.Minute}
	with := func(change func(*proof)) proof { p := later; change(&p); return p }
	for name, tt := range map[string]struct {
		plant func(b *bed)
		state gate.State
		says  string
	}{
		"one is missing":                      {func(b *bed) { b.remove("*-jwks.json") }, gate.Missing, "no proof of it in staging"},
		"one is of another environment":       {func(b *bed) { b.remove("*-jwks.json"); b.keep("jwks", proof{env: "production"}) }, gate.Foreign, "of environment production"},
		"one is too old":                      {func(b *bed) { b.remove("*-jwks.json"); b.keep("jwks", proof{age: 2*time.Hour + time.Second}) }, gate.Stale, "2h0m1s old, and may be 2h0m0s"},
		"one is of tomorrow":                  {func(b *bed) { b.keep("jwks", proof{age: -24 * time.Hour}) }, gate.Stale, "a clock is wrong"},
		"a newer one fails":                   {func(b *bed) { b.keep("jwks", with(func(p *proof) { p.verdict = audit.Fail })) }, gate.Failed, "it says fail"},
		"a newer one is inconclusive":         {func(b *bed) { b.keep("jwks", with(func(p *proof) { p.verdict = audit.Inconclusive })) }, gate.Inconclusive, "it says inconclusive"},
		"one is of another account":           {func(b *bed) { b.keep("jwks", with(func(p *proof) { p.account = "0000000000000000fedcba9876543210" })) }, gate.Foreign, "it is of account 0000"},
		"one is of other bundles":             {func(b *bed) { b.keep("jwks", with(func(p *proof) { p.bundle = "ffffffffffffffff" })) }, gate.Foreign, "of other bundles"},
		"one is of another contract":          {func(b *bed) { b.keep("jwks", with(func(p *proof) { p.contract = other(b.t) })) }, gate.Foreign, "made under contract"},
		"one is signed by another key":        {func(b *bed) { s := newBed(b.t).signer; b.keep("jwks", with(func(p *proof) { p.signer = &s })) }, gate.Rejected, "not trusted here"},
		"a newer one that fails is spoiled":   {func(b *bed) { b.flip(b.keep("jwks", with(func(p *proof) { p.verdict = audit.Fail })), 200) }, gate.Rejected, ""},
		"a newer one is spoiled beyond words": {func(b *bed) { b.flip(b.keep("jwks", later), 0) }, gate.Rejected, "not a proof"},
		"one has another's name": {func(b *bed) {
			b.remove("*-jwks.json")
			path := b.keep("routes", later)
			b.must(os.Rename(path, strings.Replace(path, "-routes", "-jwks", 1)))
		}, gate.Rejected, "the file's name says jwks"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.all()
			tt.plant(b)
			d := b.decide()
			var got gate.Link
			for _, l := range d.Links {
				if l.Check == "jwks" {
					got = l
				}
			}
			if d.Open || got.State != tt.state || !strings.Contains(got.Because, tt.says) {
				t.Errorf("open %v: %+v", d.Open, got)
			}
		})
	}
}

// A gate is shut too when what was proven is not one known bundle for each Worker.
func TestBundlesThatAreNotOne(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		subjects []evidence.Subject
		says     string
	}{
		"two versions":      {[]evidence.Subject{subject("a", "1111111111111111", "v1"), subject("a", "2222222222222222", "v2")}, "in two versions"},
		"without a digest":  {[]evidence.Subject{subject("a", "", "v1")}, "its bundle has no digest"},
		"the same two ways": {[]evidence.Subject{subject("a", "1111111111111111", "v1"), subject("a", "1111111111111111", "v2")}, "in two versions"},
	} {
		b := newBed(t)
		for _, n := range names() {
			b.keep(n, proof{age: time.Minute, subjects: tt.subjects})
		}
		if d := b.decide(); d.Open || !strings.Contains(fmt.Sprint(d.Problems), tt.says) {
			t.Errorf("%s: open %v, %v", name, d.Open, d.Problems)
		}
	}
}

// Every bit of every proof counts: with any of them flipped the gate is shut.
func TestAnyFlippedBitShutsTheGate(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.all()
	paths, err := filepath.Glob(filepath.Join(b.dir, "*-jwks.json"))
	if err != nil || len(paths) != 1 {
		t.Fatal(paths, err)
	}
	raw, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(raw); at += 7 {
		b.flip(paths[0], at)
		if b.decide().Open {
			t.Fatalf("open with a bit of byte %d flipped", at)
		}
		b.must(os.WriteFile(paths[0], raw, 0o600))
	}
	if !b.decide().Open {
		t.Error("shut with the file as it was")
	}
}

func TestAFolderThatIsNotThereHoldsNothing(t *testing.T) {
	t.Parallel()
	if files, err := gate.Read(filepath.Join(t.TempDir(), "nowhere")); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) remove(pattern string) {
	b.t.Helper()
	found, err := filepath.Glob(filepath.Join(b.dir, pattern))
	if err != nil || len(found) == 0 {
		b.t.Fatalf("nothing is called %s", pattern)
	}
	for _, path := range found {
		b.must(os.Remove(path))
	}
}

// other is the contract with one fact changed.
func other(t *testing.T) *contract.Contract {
	t.Helper()
	files, err := contract.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, raw := range files {
		text := strings.Replace(string(raw), `"max_ms": 150`, `"max_ms": 151`, 1)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := contract.LoadFS(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func FuzzRead(f *testing.F) {
	f.Add("2026-11-22T18-40-11Z-staging-jwks.json", []byte(`{"payload":"e30="}`))
	f.Add("proof.json", []byte(`{"payload":"eyJwcmVkaWNhdGUiOnsiY2hlY2siOiJqd2tzIn19"}`))
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		dir := t.TempDir()
		if filepath.Base(name) != name || strings.ContainsRune(name, 0) || len(name) > 200 || os.WriteFile(filepath.Join(dir, name), raw, 0o600) != nil {
			t.Skip()
		}
		files, err := gate.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			for _, c := range f.Claims {
				if _, _, ok := gate.Newest(files, c.Env, c.Check); !ok {
					t.Errorf("%q claims %+v and is not found by it", f.Path, c)
				}
			}
		}
	})
}
