package snapshot_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/store"
)

func TestEnvironmentsDifferAsTheContractSays(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	live := b.collect()
	for _, env := range []string{"staging", "production"} {
		other, err := snapshot.Declared(b.contract, env, at())
		if err != nil {
			t.Fatal(err)
		}
		d := snapshot.Diff(live, other, nil)
		if d.Verdict != audit.Pass || len(d.Expected) < 5 {
			t.Errorf("%s: %s, changes %q, expected %q", env, d.Verdict, lines(d.Changes), lines(d.Expected))
		}
		host := b.contract.Envs[env].Hostname
		if want := "renamed routes: api.cognomega.localhost/*, " + host + "/*"; !slices.Contains(lines(d.Expected), want) {
			t.Errorf("%q is not among %q", want, lines(d.Expected))
		}
		mirrored(t, live, other)
	}
}

func TestAnotherEnvironmentsValueIsDrift(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.upload("cognomega-api", func(u *cfapi.ScriptUpload) { u.Bindings[0] = text("ISSUER", "https://api.cognomega.com") })
	b.zone("POST", "/workers/routes", object{"pattern": "xapi.cognomega.localhost/*"})
	production, err := snapshot.Declared(b.contract, "production", at())
	if err != nil {
		t.Fatal(err)
	}
	// Production's issuer is production's own there, and nobody's business here; a longer name is not the hostname.
	staging, err := snapshot.Declared(b.contract, "staging", at())
	if err != nil {
		t.Fatal(err)
	}
	live := b.collect()
	if got := lines(snapshot.Diff(live, staging, nil).Changes); !slices.Contains(got, "changed workers.cognomega-api.bindings.ISSUER.text: https://api.cognomega.com, https://api.staging.cognomega.com") ||
		!slices.Contains(got, `removed routes["xapi.cognomega.localhost/*"]`) {
		t.Errorf("%q", got)
	}
	mirrored(t, live, production)
}

func TestEveryAccountHasItsOwnIDs(t *testing.T) {
	t.Parallel()
	one, two := newBed(t).enrich(), newBed(t).enrich()
	a, b := one.collect(), two.collect()
	if got := snapshot.Diff(a, b, nil); !slices.Contains(lines(got.Changes), "changed kv_namespaces.cognomega-keys.id: "+one.ids["kv"]+", "+two.ids["kv"]) {
		t.Errorf("in one account another id is another thing: %q", lines(got.Changes))
	}
	target := two.target()
	target.AccountID = strings.Repeat("f", 32)
	b, err := snapshot.Collect(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if got := snapshot.Diff(a, b, nil); got.Verdict != audit.Pass || len(got.Expected) < 10 {
		t.Errorf("changes %q, expected %q", lines(got.Changes), lines(got.Expected))
	}
}

func TestEveryEnvironmentHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	a := b.collect()
	b.account("PATCH", "/hyperdrive/configs/"+b.ids["ledger"], object{"origin": object{"host": "other.example.test", "port": 6432, "password": plantedPassword}})
	moved := "changed hyperdrives.cognomega-neon.origin.host: ledger.example.test, other.example.test"
	if d := snapshot.Diff(a, b.collect(), nil); !slices.Contains(lines(d.Changes), moved) {
		t.Errorf("in one environment a database that moved is drift: %q", lines(d.Changes))
	}
	target := b.target()
	target.Env = "staging"
	other, err := snapshot.Collect(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if d := snapshot.Diff(a, other, nil); !slices.Contains(lines(d.Expected), moved) {
		t.Errorf("between environments it is expected: %q, changes %q", lines(d.Expected), lines(d.Changes))
	}
}

func TestWhatIsAccepted(t *testing.T) {
	t.Parallel()
	b := newBed(t).enrich()
	accepted, err := snapshot.Accept([]string{"workers.jobs-*", "queues.jobs*", "hyperdrives", `custom_domains["jobs.cognomega.localhost"]`})
	if err != nil {
		t.Fatal(err)
	}
	d := snapshot.Diff(b.declared(), b.collect(), accepted)
	if d.Verdict != audit.Pass {
		t.Errorf("%q", lines(d.Changes))
	}
	if some, _ := snapshot.Accept([]string{"workers.job", "queues.*.nothing"}); len(snapshot.Diff(b.declared(), b.collect(), some).Changes) != 5 {
		t.Error("half a name was taken for the whole")
	}
	for _, all := range []string{"", "*", " .*"} {
		if _, err := snapshot.Accept([]string{all}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q would accept everything: %v", all, err)
		}
	}
}

// TestWhatMayNotBeReadIsNotJudged takes one permission away at a time.
func TestWhatMayNotBeReadIsNotJudged(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	groups := map[string]string{
		"Workers Routes Read": "routes", "DNS Read": "dns", "Workers KV Storage Read": "kv_namespaces",
		"Queues Read": "queues", "Workers R2 Storage Read": "r2_buckets", "Hyperdrive Read": "hyperdrives",
	}
	client := func(t *testing.T, token string, without string) *cfapi.Client {
		t.Helper()
		granted := []string{"Zone Read", "Workers Scripts Read"}
		for group := range groups {
			if group != without {
				granted = append(granted, group)
			}
		}
		granted = slices.DeleteFunc(granted, func(g string) bool { return g == without })
		err := b.Store.Update(func(tx *store.Tx) error {
			return tx.Put(store.Tokens, api.HashToken(token), store.Token{ID: token, Status: "active", Permissions: granted})
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := cfapi.New(cfapi.Config{BaseURL: b.URL, Token: token, AccountID: b.api.AccountID(), RetryMax: -1})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for group, section := range groups {
		target := b.target()
		target.API = client(t, (section + strings.Repeat("_", 40))[:40], group)
		s, err := snapshot.Collect(t.Context(), target)
		if err != nil {
			t.Fatalf("without %s: %v", group, err)
		}
		if len(s.Unseen) != 1 || s.Unseen[0].Section != section || !strings.Contains(s.Unseen[0].Hint, strings.TrimSuffix(group, " Read")) {
			t.Errorf("without %s: unseen %+v", group, s.Unseen)
		}
		if d := snapshot.Diff(b.declared(), s, nil); d.Verdict != audit.Inconclusive || len(d.Changes) != 0 {
			t.Errorf("without %s: %s %q", group, d.Verdict, lines(d.Changes))
		}
		if _, err := snapshot.Parse(file(t, s)); err != nil {
			t.Errorf("without %s: %v", group, err)
		}
	}
	target := b.target()
	target.API = client(t, strings.Repeat("z", 40), "Workers Scripts Read")
	if _, err := snapshot.Collect(t.Context(), target); !errors.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "Workers Scripts") {
		t.Errorf("without Workers nothing is left to keep: %v", err)
	}
}
