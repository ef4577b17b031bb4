package suite_test

import (
	"testing"

	"github.com/cognomega/edge/audit/suite"
)

func TestEveryCheckCanBeRunAndJudged(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range suite.All() {
		if c.Name == "" || c.Title == "" || c.Run == nil || c.Judge == nil || seen[c.Name] {
			t.Errorf("check %q: title %q, run %v, judge %v, twice %v", c.Name, c.Title, c.Run != nil, c.Judge != nil, seen[c.Name])
		}
		seen[c.Name] = true
	}
	for _, c := range suite.Phase0() {
		if !seen[c.Name] {
			t.Errorf("proofs of %s cannot be verified", c.Name)
		}
	}
}
