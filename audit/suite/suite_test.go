package suite_test

import (
	"testing"

	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/contract"
)

func TestEveryCheckCanBeRunAndJudged(t *testing.T) {
	t.Parallel()
	declared, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range suite.For(declared) {
		if c.Name == "" || c.Title == "" || c.Run == nil || c.Judge == nil || seen[c.Name] {
			t.Errorf("check %q: title %q, run %v, judge %v, twice %v", c.Name, c.Title, c.Run != nil, c.Judge != nil, seen[c.Name])
		}
		seen[c.Name] = true
	}
	for _, c := range append(suite.Phase0(), suite.All()...) {
		if !seen[c.Name] {
			t.Errorf("proofs of %s cannot be verified", c.Name)
		}
	}
	for name, g := range declared.Gates.Gates {
		for check := range g.Proofs {
			if !seen[check] {
				t.Errorf("gate %s wants a proof of %q, which no check makes", name, check)
			}
		}
	}
	for id := range declared.SLO {
		if !seen["slo-"+id] {
			t.Errorf("proofs of objective %s cannot be verified", id)
		}
	}
}
