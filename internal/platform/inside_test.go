package platform_test

import "testing"

// A secret that the API lists and its Worker does not see is found, and nothing is where nobody touched anything.
func TestWhatWorkersSeeAgreesWithTheAPIUntilItDoesNot(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	j.must(0, nil, "up", "--skip-proof")
	var kept struct {
		Inside struct {
			Asked   bool
			Workers map[string]struct{ Vars map[string]string }
			Silent  []string
		}
	}
	j.must(0, &kept, "env", "snapshot", "--dry-run")
	if in := kept.Inside; !in.Asked || len(in.Silent) != 0 || len(in.Workers) < 6 || in.Workers["auth-svc"].Vars["ISSUER"] == "" {
		t.Fatalf("%+v", in)
	}
	type disagreement struct {
		Side, Path      string
		Outside, Inside any
	}
	var diff struct{ Disagreements []disagreement }
	j.must(0, &diff, "env", "diff")
	if len(diff.Disagreements) != 0 {
		t.Errorf("an untouched platform: %+v", diff.Disagreements)
	}
	j.api("PUT", "/accounts/"+j.endpoints().AccountID+"/workers/scripts/auth-svc/secrets", `{"name":"TURNSTILE_SECRET","type":"secret_text","text":""}`)
	j.must(1, &diff, "env", "diff")
	want := disagreement{"b", "inside.auth-svc.secrets.TURNSTILE_SECRET", true, false}
	if len(diff.Disagreements) != 1 || diff.Disagreements[0] != want {
		t.Errorf("%+v, want %+v", diff.Disagreements, want)
	}
}
