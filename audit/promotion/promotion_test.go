package promotion_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/gate"
	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

const account = "fedcba9876543210fedcba9876543210"

func now() time.Time { return time.Date(2026, 11, 22, 18, 40, 0, 0, time.UTC) }

func target(t *testing.T) *audit.Target {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	e := c.Envs["production"]
	return &audit.Target{
		Env: "production", Hostname: e.Hostname, ZoneName: e.Zone, BaseURL: &url.URL{Scheme: "https", Host: e.Hostname}, AccountID: account, Contract: c, Now: now,
	}
}

func capture(t *audit.Target, at time.Time) *routes.Capture {
	c := &routes.Capture{
		Schema: routes.CaptureSchema, At: at, Account: account, Host: t.Hostname, Zone: cfapi.Zone{ID: "z1", Name: t.ZoneName},
		Routes:  []routes.Route{{ID: "r1", Pattern: t.Hostname + "/*", Script: t.Contract.Gateway()}},
		Domains: []cfapi.Domain{}, DNS: []routes.DNSRecord{{ID: "d1", Type: "AAAA", Name: t.Hostname, Content: "100::", Proxied: true}},
		Pages: []routes.PagesProject{}, Redirects: []routes.Redirect{}, Unseen: []routes.Unseen{},
	}
	for name := range t.Contract.Workers {
		c.Workers = append(c.Workers, routes.Worker{Name: name, Exists: true})
	}
	return c
}

const bundle = "0011223344556677"

// good is a promotion as it ought to go.
func good(t *audit.Target) promotion.Evidence {
	e := promotion.Evidence{
		At: now().Add(-time.Minute), To: "production",
		Release: promotion.Release{ID: strings.Repeat("a", 64), Contract: t.Contract.Digest(), Workers: map[string]string{"auth-svc": bundle + strings.Repeat("0", 48)}},
		Run: promotion.Run{
			Issuer: "https://token.actions.githubusercontent.com", Repository: "cognomega/edge", Ref: "refs/heads/main", SHA: "abc", Environment: "production",
			Workflow: "cognomega/edge/.github/workflows/deploy.yml@refs/heads/main", Event: "workflow_dispatch", RunID: "1",
		},
		Before: capture(t, now().Add(-2*time.Minute)), After: capture(t, now()), Changes: []routes.Change{}, Serving: serving(bundle),
		Gate: &gate.Decision{Gate: "promote", Env: "staging", Open: true, Contract: t.Contract.Digest(), Bundles: map[string]string{}, Problems: []string{}},
	}
	for check := range t.Contract.Gates.Gates["promote"].Proofs {
		at := now().Add(-time.Hour)
		e.Gate.Links = append(e.Gate.Links, gate.Link{Check: check, State: gate.Met, Verdict: audit.Pass, At: &at, SHA256: strings.Repeat("b", 64), Subjects: serving(bundle)})
	}
	return e
}

func serving(digest string) []evidence.Subject {
	return []evidence.Subject{{Name: "worker/auth-svc", Digest: map[string]string{"bundleSha256Head": digest}}}
}

func TestAPromotionAsItOughtToGo(t *testing.T) {
	t.Parallel()
	at := target(t)
	r, err := promotion.Conclude(at, good(at))
	if err != nil || r.Verdict != audit.Pass || len(r.Findings) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	raw, err := json.Marshal(r.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := promotion.Check().Judge(at, raw); err != nil || again.Verdict != audit.Pass || again.Summary != r.Summary {
		t.Errorf("judged again: %+v, %v", again, err)
	}
}

// Each spoils one fact: the verdict is derived from it, and never pass.
func TestAPromotionThatWentWrongFails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(*audit.Target, *promotion.Evidence)
		code  string
	}{
		"another bundle serves":  {func(_ *audit.Target, e *promotion.Evidence) { e.Serving = serving("ffffffffffffffff") }, "bundle_differs"},
		"no bundle serves":       {func(_ *audit.Target, e *promotion.Evidence) { e.Serving = nil }, "bundle_differs"},
		"two versions serve":     {func(_ *audit.Target, e *promotion.Evidence) { e.Serving = append(serving(bundle), serving(bundle)...) }, "bundle_differs"},
		"another was proven":     {func(_ *audit.Target, e *promotion.Evidence) { e.Gate.Links[0].Subjects = serving("ffffffffffffffff") }, "bundle_differs"},
		"a proof is not there":   {func(_ *audit.Target, e *promotion.Evidence) { e.Gate.Links = e.Gate.Links[1:] }, "proof_missing"},
		"a proof is too old":     {func(_ *audit.Target, e *promotion.Evidence) { *e.Gate.Links[0].At = now().Add(-48 * time.Hour) }, "proof_missing"},
		"a proof fails":          {func(_ *audit.Target, e *promotion.Evidence) { e.Gate.Links[0].Verdict = audit.Fail }, "proof_missing"},
		"the gate was shut":      {func(_ *audit.Target, e *promotion.Evidence) { e.Gate.Open = false }, "gate_shut"},
		"another gate":           {func(_ *audit.Target, e *promotion.Evidence) { e.Gate.Gate = "phase0" }, "gate_shut"},
		"another contract":       {func(_ *audit.Target, e *promotion.Evidence) { e.Release.Contract = "abc" }, "contract_differs"},
		"another repository":     {func(_ *audit.Target, e *promotion.Evidence) { e.Run.Repository = "someone/edge" }, "run_differs"},
		"a pull request":         {func(_ *audit.Target, e *promotion.Evidence) { e.Run.Event = "pull_request_target" }, "run_differs"},
		"a shadow on the routes": {shadow, "route_"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := target(t)
			e := good(at)
			tt.spoil(at, &e)
			r, err := promotion.Conclude(at, e)
			if err != nil || r.Verdict != audit.Fail || len(r.Findings) == 0 || !strings.HasPrefix(r.Findings[0].Code, tt.code) {
				t.Errorf("%v: %+v, %v", r.Verdict, r.Findings, err)
			}
		})
	}
}

func shadow(t *audit.Target, e *promotion.Evidence) {
	e.After.Routes = append(e.After.Routes, routes.Route{ID: "r2", Pattern: t.Hostname + "/api/*", Script: "other"})
	e.Changes = routes.Compare(e.Before, e.After)
}

// Evidence that cannot have been so is refused, not judged.
func TestEvidenceOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*promotion.Evidence){
		"of staging":                   func(e *promotion.Evidence) { e.To = "staging" },
		"of another account":           func(e *promotion.Evidence) { e.After.Account = "0000" },
		"without a run":                func(e *promotion.Evidence) { e.Run = promotion.Run{} },
		"without the routes before":    func(e *promotion.Evidence) { e.Before = nil },
		"without a gate":               func(e *promotion.Evidence) { e.Gate = nil },
		"a rollback through a gate":    func(e *promotion.Evidence) { e.Rollback = true },
		"routes from before it":        func(e *promotion.Evidence) { e.After.At = e.At.Add(-time.Second) },
		"routes of yesterday":          func(e *promotion.Evidence) { e.After.At = now().Add(-24 * time.Hour); e.At = e.After.At },
		"a change that is not in them": func(e *promotion.Evidence) { e.Changes = []routes.Change{{Op: "added"}} },
	} {
		at := target(t)
		e := good(at)
		spoil(&e)
		if _, err := promotion.Conclude(at, e); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
