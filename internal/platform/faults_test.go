package platform_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/faults"
)

// Every fault befalls every provider of the real platform, and is nobody's outage; the proof of it opens the gate. When a machine is
// busy its latencies may be anything, so the verdict is looked at cell by cell.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	var shown struct {
		Checks    []struct{ Proof, Summary string }
		Matrix    []faults.Cell
		Latencies []faults.Latency
	}
	code, stdout, stderr := m.run("prove", "phase2")
	if err := json.Unmarshal([]byte(stdout), &shown); err != nil {
		t.Fatalf("%v in %s\n%s", err, stdout, stderr)
	}
	if len(shown.Matrix) != 3*len(faults.Names()) || len(shown.Latencies) != 3 {
		t.Fatalf("exit %d with %d cells and %d latencies\n%s", code, len(shown.Matrix), len(shown.Latencies), stderr)
	}
	for _, c := range shown.Matrix {
		if c.Verdict != audit.Pass || c.Answered != c.Asked || c.Streams == 0 || c.Streams == c.Asked || c.Tried == 0 || c.Spared != 0 || !c.Charged {
			t.Errorf("%+v", c)
		}
	}
	late := strings.Contains(stdout, `"late_without_primary"`)
	want := map[bool]int{false: 0, true: 1}[late]
	if code != want {
		t.Errorf("exit %d, want %d\n%s", code, want, stderr)
	}
	m.must(want, nil, "verify", shown.Checks[0].Proof)
	m.must(map[bool]int{false: 0, true: 5}[late], nil, "gate", "phase2")
	if n := one[int](m, "SELECT count(*)::int FROM ledger.review"); n != 0 {
		t.Errorf("%d charges wait for a person", n)
	}
}
