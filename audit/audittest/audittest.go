// Package audittest holds what the tests of all checks share.
package audittest

import (
	"encoding/json"
	"testing"

	"github.com/cognomega/edge/audit"
)

// Rejudge fails the test unless the check derives the same result from the evidence alone, as a file would hold it.
func Rejudge(t testing.TB, c audit.Check, target *audit.Target, r audit.Result) {
	t.Helper()
	evidence, err := json.Marshal(r.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	blind := *target
	blind.HTTP, blind.API = nil, nil
	again, err := c.Judge(&blind, audit.Scrub(evidence))
	if err != nil {
		t.Fatalf("the evidence cannot be judged again: %v\n%s", err, evidence)
	}
	was, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	is, err := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	if string(was) != string(is) {
		t.Errorf("judged again it differs:\n%s\n%s", was, is)
	}
}
