package platform_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
)

type promoteReport struct {
	Verdict, Summary, Proof string
	Rollback                bool
	Changes                 map[string]int
	Release                 struct{ ID string }
	Gate                    struct{ Open bool }
	Phase0                  struct{ Verdict string }
	Run                     struct {
		RunID string `json:"run_id"`
	}
}

// TestPromotion takes two releases from staging to production and back, over two accounts with the real engine and real Workers.
func TestPromotion(t *testing.T) {
	t.Parallel()
	r := newReleases(t)
	key := r.staging.trusted(t)
	promote := func(want int, args ...string) (got promoteReport, stderr string) {
		t.Helper()
		code, out, errs := r.cogctl(append(r.environ(r.prod), r.github()...), append([]string{"promote", "--key", key, "--key", r.prod.trusted(t), "--proofs", r.staging.proofs, "--proofs", r.prod.proofs}, args...)...)
		if code != want {
			t.Fatalf("cogctl promote %v: exit %d, want %d\n%s%s", args, code, want, out, errs)
		}
		if out != "" {
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
		}
		return got, errs
	}
	// Nothing is proven yet, and `up` is no way round it.
	promote(5)
	if code, _, errs := r.cogctl(append(r.environ(r.prod), r.github()...), "up", "--env", "production"); code != 5 || !strings.Contains(errs, "cogctl promote") {
		t.Errorf("up of production: exit %d: %s", code, errs)
	}

	r.prove()
	if n := r.prod.writes.Load(); n != 0 {
		t.Errorf("%d calls changed production before anything was promoted", n)
	}
	if got, _ := promote(0, "--dry-run"); r.prod.writes.Load() != 0 || got.Changes["create"] < 10 {
		t.Errorf("a dry run made %d changing calls and plans %v", r.prod.writes.Load(), got.Changes)
	}
	r.refusals(key)
	if n := r.prod.writes.Load(); n != 0 {
		t.Fatalf("a refused promotion made %d changing calls", n)
	}

	first, _ := promote(0)
	if first.Verdict != "pass" || first.Phase0.Verdict != "pass" || first.Run.RunID != "4711" || r.prod.writes.Load() == 0 {
		t.Errorf("the first promotion: %+v", first)
	}
	const worker = "orchestrator-svc"
	was := r.prod.serving(t, worker)
	if was == "" || was != r.staging.serving(t, worker) {
		t.Errorf("production serves %s, staging %s", was, r.staging.serving(t, worker))
	}
	if again, _ := promote(0); len(again.Changes) != 1 || again.Changes["same"] == 0 {
		t.Errorf("promoting again changed %v", again.Changes)
	}

	r.change("another release")
	if _, errs := promote(5); !strings.Contains(errs, "does not make what was proven") {
		t.Errorf("bundles that nobody proved: %s", errs)
	}
	r.prove()
	second, _ := promote(0)
	if is := r.prod.serving(t, worker); second.Verdict != "pass" || is == was || second.Release.ID == first.Release.ID {
		t.Errorf("the second promotion serves %s: %+v", is, second)
	}

	before := r.prod.writes.Load()
	if got, _ := promote(0, "--rollback", "--dry-run"); r.prod.writes.Load() != before || got.Release.ID != first.Release.ID {
		t.Errorf("a dry run made %d changing calls, and would go back to %+v", r.prod.writes.Load()-before, got.Release)
	}
	back, _ := promote(0, "--rollback")
	if is := r.prod.serving(t, worker); is != was || !back.Rollback || back.Verdict != "pass" || back.Phase0.Verdict != "pass" {
		t.Errorf("rolled back to %s, want %s: %+v", is, was, back)
	}
	if _, errs := promote(5, "--rollback"); !strings.Contains(errs, "no earlier promotion") {
		t.Errorf("there is nothing before the first release: %s", errs)
	}
	for _, proof := range []string{first.Proof, second.Proof, back.Proof} {
		if code, _, errs := r.cogctl(r.environ(r.prod), "verify", proof); code != 0 {
			t.Errorf("verify %s: exit %d: %s", proof, code, errs)
		}
	}
	r.spoil(second.Release.ID)
	if _, errs := promote(5, "--rollback", "--release", second.Release.ID[:12]); !strings.Contains(errs, "was changed") {
		t.Errorf("a release with a flipped bit: %s", errs)
	}
}

// prove deploys the clone to staging and proves it there, as the workflow's first job does.
func (r *releases) prove() {
	r.t.Helper()
	code, out, errs := r.cogctl(r.environ(r.staging), "up", "--env", "staging")
	if code != 0 {
		r.t.Fatalf("up of staging: exit %d\n%s%s", code, out, errs)
	}
	r.keepLatencies()
}

// keepLatencies keeps a proof of every objective, from latencies that this test makes up: what a loaded machine measures is no
// part of what is tested here.
func (r *releases) keepLatencies() {
	r.t.Helper()
	c, err := contract.Load()
	if err != nil {
		r.t.Fatal(err)
	}
	api, err := cfapi.New(cfapi.Config{BaseURL: r.staging.endpoints.APIHTTP, Token: r.staging.token, AccountID: r.staging.endpoints.AccountID})
	if err != nil {
		r.t.Fatal(err)
	}
	env, now := c.Envs["staging"], time.Now()
	target := &audit.Target{
		Env: "staging", Hostname: env.Hostname, ZoneName: env.Zone, Issuer: env.Issuer, BaseURL: &url.URL{Scheme: "https", Host: env.Hostname},
		API: api, AccountID: r.staging.endpoints.AccountID, Contract: c, Now: func() time.Time { return now },
	}
	signer, err := evidence.ParseSigner([]byte(r.staging.key))
	if err != nil {
		r.t.Fatal(err)
	}
	serving, err := evidence.Deployed(r.t.Context(), target)
	if err != nil {
		r.t.Fatal(err)
	}
	for id, o := range c.SLO {
		check, result := quick(r.t, target, id, o)
		if _, err := evidence.Keep(r.t.Context(), r.staging.proofs, check, target, evidence.Origin{Tool: "test", At: now, Subjects: serving, Signer: signer}, result); err != nil {
			r.t.Fatal(err)
		}
	}
}

// quick is the result of a run in which every request took 5 ms: it ends as soon as the verdict stands.
func quick(t *testing.T, target *audit.Target, id string, o contract.Objective) (audit.Check, audit.Result) {
	t.Helper()
	plan, now := slo.DefaultPlan(o), target.Now()
	check := slo.Check(id, o, slo.Options{Plan: plan})
	for n := 1; n <= plan.Requests; n++ {
		raw, err := json.Marshal(slo.Evidence{
			Objective: id, Method: o.Probe.Method, URL: target.PublicURL(o.Probe.Path), Started: now.Add(-time.Minute).UTC(), Ended: now.UTC(), Plan: plan,
			Sent: n, WarmUpUS: []int64{1000}, LatencyUS: slices.Repeat([]int64{5000}, n), LateUS: slices.Repeat([]int64{10}, n), Failures: []slo.Failure{},
		})
		if err != nil {
			t.Fatal(err)
		}
		if result, err := check.Judge(target, raw); err == nil && result.Verdict == audit.Pass {
			return check, result
		}
	}
	t.Fatalf("%s is not proven by %d quick answers", id, plan.Requests)
	return check, audit.Result{}
}

// refusals plants one fault at a time, and sees it refused before production is touched.
func (r *releases) refusals(key string) {
	r.t.Helper()
	for name, fault := range map[string]struct {
		plant func() (undo func())
		env   []string
		args  []string
		want  string
	}{
		"no OpenID token":           {env: []string{"ACTIONS_ID_TOKEN_REQUEST_URL="}, want: "no run of GitHub Actions"},
		"no request token":          {env: []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN="}, want: "no run of GitHub Actions"},
		"a fork":                    {plant: r.lie("repository", "someone/edge"), want: `repository "someone/edge"`},
		"another branch":            {plant: r.lie("ref", "refs/heads/topic"), want: `ref "refs/heads/topic"`},
		"another workflow":          {plant: r.lie("job_workflow_ref", "cognomega/edge/.github/workflows/ci.yml@refs/heads/main"), want: "ci.yml"},
		"another environment's run": {plant: r.lie("environment", "staging"), want: `environment "staging"`},
		"a pull request":            {plant: r.lie("event_name", "pull_request_target"), want: "pull_request_target"},
		"another commit":            {plant: r.lie("sha", "0123456789012345678901234567890123456789"), want: "and the run is of 012345678901"},
		"an expired token":          {plant: r.lie("exp", time.Now().Add(-time.Hour).Unix()), want: "has expired"},
		"another audience":          {plant: r.lie("aud", "sts.amazonaws.com"), want: "is for"},
		"a forged signature":        {plant: func() func() { r.issuer.Forge(true); return func() { r.issuer.Forge(false) } }, want: "does not verify"},
		"a changed checkout": {plant: func() func() {
			path := filepath.Join(r.root, "workers/orchestrator-svc/src/worker.ts")
			raw, _ := os.ReadFile(path)
			r.write("workers/orchestrator-svc/src/worker.ts", string(raw)+"\n// not committed\n")
			return func() { r.write("workers/orchestrator-svc/src/worker.ts", string(raw)) }
		}, want: "not as they were committed"},
		"a key that is not trusted": {args: []string{"--key", r.prod.trusted(r.t)}, want: "not trusted here"},
		"a missing proof":           {plant: r.hide("*-staging-jwks*.json"), want: `"state": "missing"`},
		"a flipped bit":             {plant: r.flip("*-staging-routes*.json"), want: `"state": "rejected"`},
	} {
		undo := func() {}
		if fault.plant != nil {
			undo = fault.plant()
		}
		args := fault.args
		if args == nil {
			args = []string{"--key", key}
		}
		code, out, errs := r.cogctl(append(append(r.environ(r.prod), r.github()...), fault.env...), append([]string{"promote", "--proofs", r.staging.proofs}, args...)...)
		if code != 5 || !strings.Contains(strings.ReplaceAll(out+errs, `\"`, `"`), fault.want) {
			r.t.Errorf("%s: exit %d, want 5 and %q\n%s%s", name, code, fault.want, out, errs)
		}
		undo()
	}
}

func (r *releases) lie(claim string, value any) func() func() {
	return func() func() {
		was := r.issuer.Claim(claim)
		r.issuer.Say(claim, value)
		return func() { r.issuer.Unsay(claim, was) }
	}
}

func (r *releases) proofs(pattern string) []string {
	r.t.Helper()
	found, err := filepath.Glob(filepath.Join(r.staging.proofs, pattern))
	if err != nil || len(found) == 0 {
		r.t.Fatalf("no proof is called %s (%v)", pattern, err)
	}
	return found
}

func (r *releases) hide(pattern string) func() func() {
	return func() func() {
		found := r.proofs(pattern)
		for _, path := range found {
			_ = os.Rename(path, path+".hidden")
		}
		return func() {
			for _, path := range found {
				_ = os.Rename(path+".hidden", path)
			}
		}
	}
}

func (r *releases) flip(pattern string) func() func() {
	return func() func() {
		found := r.proofs(pattern)
		path := found[len(found)-1]
		flipBit(r.t, path)
		return func() { flipBit(r.t, path) }
	}
}

// flipBit changes one bit in the middle of a file.
func flipBit(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// spoil flips a bit of a kept bundle.
func (r *releases) spoil(release string) {
	r.t.Helper()
	flipBit(r.t, filepath.Join(r.prod.proofs, "releases", release, "workers", "orchestrator-svc", "worker.js"))
}
