// Package promotion keeps the proof of a promotion: which evidence let it through, who released it, what serves since, and who owned the hostname before and after.
package promotion

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/gate"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Name is the check's, and so a part of the proof's file name.
const Name = "promotion"

// Run is what the OpenID token of the releasing run said, once it was verified.
type Run struct {
	Issuer      string `json:"iss"`
	Subject     string `json:"sub"`
	Repository  string `json:"repository"`
	Ref         string `json:"ref"`
	SHA         string `json:"sha"`
	Workflow    string `json:"job_workflow_ref"`
	Environment string `json:"environment"`
	Event       string `json:"event_name"`
	RunID       string `json:"run_id"`
	RunAttempt  string `json:"run_attempt"`
	Actor       string `json:"actor"`
}

// Release is what was deployed.
type Release struct {
	ID       string            `json:"id"`
	Contract string            `json:"contract_sha256"`
	Workers  map[string]string `json:"workers"` // the digest of each bundle
}

// Evidence is a promotion as it went.
type Evidence struct {
	At         time.Time          `json:"at"`
	To         string             `json:"to"`
	Rollback   bool               `json:"rollback"`
	Release    Release            `json:"release"`
	Gate       *gate.Decision     `json:"gate,omitempty"` // of a promotion; a rollback goes to what was promoted before
	Promoted   *Earlier           `json:"promoted,omitempty"`
	Run        Run                `json:"run"`
	Before     *routes.Capture    `json:"routes_before"`
	After      *routes.Capture    `json:"routes_after"`
	Changes    []routes.Change    `json:"routes_changes"`
	Serving    []evidence.Subject `json:"serving"`
	WasServing []evidence.Subject `json:"was_serving"`
}

// Earlier is the promotion that a rollback goes back to.
type Earlier struct {
	File   string    `json:"file"`
	SHA256 string    `json:"sha256"`
	At     time.Time `json:"at"`
}

// Check judges promotions. It cannot be run by itself: a promotion makes its own evidence.
func Check() audit.Check {
	return audit.Check{Name: Name, Title: "what was proven is what serves", Form: 1, Judge: audit.Rejudge(judge), Run: func(context.Context, *audit.Target) (audit.Result, error) {
		return audit.Result{}, fault.New(fault.Unsupported, "a promotion is proven when it is made").WithHint("cogctl promote")
	}}
}

// Conclude is the result of a promotion that was carried out.
func Conclude(t *audit.Target, e Evidence) (audit.Result, error) { return judge(t, e) }

func judge(t *audit.Target, e Evidence) (audit.Result, error) {
	if err := e.fits(t); err != nil {
		return audit.Result{}, err
	}
	findings := Admit(t.Contract.Gates.Promotion.Run, e.Run)
	findings = append(findings, e.chain(t)...)
	findings = append(findings, serving(e.Release, e.Serving)...)
	owner := routes.Judge(e.After, routes.ExpectFor(t))
	findings = append(findings, owner.Findings...)
	r := audit.Conclude(e.summary(owner), findings, e)
	if v := owner.Verdict(e.After); r.Verdict == audit.Pass && v != audit.Pass {
		r.Verdict = v
	}
	return r, nil
}

func (e Evidence) summary(owner routes.Judgement) string {
	verb := "promoted"
	if e.Rollback {
		verb = "rolled back to"
	}
	return fmt.Sprintf("%s release %.12s, %d Workers; %s; %d changes of routing", verb, e.Release.ID, len(e.Release.Workers), owner.Summary(), len(e.Changes))
}

// fits sees that the evidence is of this promotion and of nothing else.
func (e Evidence) fits(t *audit.Target) error {
	p := t.Contract.Gates.Promotion
	switch {
	case e.To != p.To || e.To != t.Env:
		return audit.Misfit("it promotes to %q, the contract to %s", e.To, p.To)
	case e.Before == nil || e.After == nil || e.Run == Run{}:
		return audit.Misfit("the routes before and after, or the run, are not in it")
	case e.Rollback == (e.Gate != nil) || e.Rollback != (e.Promoted != nil):
		return audit.Misfit("a promotion goes through a gate, a rollback to an earlier promotion")
	case len(e.Changes) != len(routes.Compare(e.Before, e.After)):
		return audit.Misfit("it lists %d changes of routing, its captures differ in %d", len(e.Changes), len(routes.Compare(e.Before, e.After)))
	}
	for _, c := range []*routes.Capture{e.Before, e.After} {
		if c.Host != t.Hostname || c.Zone.Name != t.ZoneName || c.Account != t.AccountID {
			return audit.Misfit("it holds a capture of %s in account %s", c.Host, c.Account)
		}
	}
	if e.After.At.Before(e.At) || e.At.Before(e.Before.At.Add(-time.Minute)) {
		return audit.Misfit("its routes were not read before and after it")
	}
	return t.Recent(e.After.At)
}

// chain sees that what was promoted is what the gate let through.
func (e Evidence) chain(t *audit.Target) []audit.Finding {
	if e.Release.Contract != t.Contract.Digest() {
		return []audit.Finding{finding("contract_differs", "the release was made under contract %.12s, this is %.12s", e.Release.Contract, t.Contract.Digest())}
	}
	if e.Rollback {
		return nil
	}
	p := t.Contract.Gates.Promotion
	var found []audit.Finding
	g := t.Contract.Gates.Gates[p.Gate]
	if e.Gate.Gate != p.Gate || e.Gate.Env != g.Env || !e.Gate.Open || e.Gate.Contract != t.Contract.Digest() {
		found = append(found, finding("gate_shut", "gate %s of %s was not open", e.Gate.Gate, e.Gate.Env))
	}
	links := map[string]gate.Link{}
	for _, l := range e.Gate.Links {
		links[l.Check] = l
	}
	for _, check := range slices.Sorted(maps.Keys(g.Proofs)) {
		l := links[check]
		if l.State != gate.Met || l.Verdict != audit.Pass || l.At == nil || l.SHA256 == "" || e.At.Sub(*l.At) > g.Proofs[check].MaxAge() {
			found = append(found, finding("proof_missing", "the proof of %s in %s was not met, or too old", check, g.Env))
			continue
		}
		found = append(found, serving(e.Release, l.Subjects)...)
	}
	return found
}

// Admit compares a run with the one kind that may promote.
func Admit(want contract.Run, run Run) []audit.Finding {
	var found []audit.Finding
	for _, claim := range []struct{ name, got, want string }{
		{"iss", run.Issuer, want.Issuer}, {"repository", run.Repository, want.Repository}, {"ref", run.Ref, want.Ref},
		{"job_workflow_ref", run.Workflow, want.Workflow}, {"environment", run.Environment, want.Environment}, {"event_name", run.Event, want.Event},
	} {
		if claim.got != claim.want {
			f := finding("run_differs", "the run's OpenID token says %s %q, want %q", claim.name, claim.got, claim.want)
			f.Got, f.Want = claim.got, claim.want
			found = append(found, f)
		}
	}
	return found
}

// serving compares what subjects were served with a release: every Worker of it once, in its very bundle.
func serving(r Release, subjects []evidence.Subject) []audit.Finding {
	got := map[string][]string{}
	for _, s := range subjects {
		if worker, ok := strings.CutPrefix(s.Name, "worker/"); ok {
			got[worker] = append(got[worker], s.Digest[gate.BundleDigest])
		}
	}
	var found []audit.Finding
	for _, worker := range slices.Sorted(maps.Keys(r.Workers)) {
		if have := got[worker]; len(have) != 1 || have[0] == "" || !strings.HasPrefix(r.Workers[worker], have[0]) {
			f := finding("bundle_differs", "Worker %s: the release is bundle %.16s, and %s", worker, r.Workers[worker], words(have))
			f.Resource = audit.Resource{Kind: "worker", Name: worker}
			found = append(found, f)
		}
	}
	for _, worker := range slices.Sorted(maps.Keys(got)) {
		if _, ok := r.Workers[worker]; !ok {
			found = append(found, finding("bundle_differs", "Worker %s is not in the release", worker))
		}
	}
	return found
}

// Differs lists the Workers whose served bundle is not that of a release.
func Differs(r Release, subjects []evidence.Subject) []audit.Finding { return serving(r, subjects) }

func words(have []string) string {
	switch {
	case len(have) == 0:
		return "none was serving"
	case len(have) == 1 && have[0] == "":
		return "one without a digest was serving"
	default:
		return "what was serving is " + strings.Join(have, ", ")
	}
}

func finding(code, format string, args ...any) audit.Finding {
	return audit.Finding{Severity: audit.Error, Code: code, Message: fmt.Sprintf(format, args...)}
}
