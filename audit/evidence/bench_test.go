package evidence_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/cognomega/edge/audit"
)

// latencies is the evidence of a check as large as they get.
type latencies struct {
	Milliseconds []float64 `json:"latencies_ms"`
}

func percentile(_ *audit.Target, e latencies) (audit.Result, error) {
	sorted := slices.Sorted(slices.Values(e.Milliseconds))
	return audit.Conclude(fmt.Sprintf("P90 %g ms", sorted[len(sorted)*9/10]), nil, e), nil
}

func BenchmarkVerify100000Latencies(b *testing.B) {
	bed := newBed(b)
	check := audit.Check{Name: "latency", Title: "it is quick", Judge: audit.Rejudge(percentile)}
	e := latencies{make([]float64, 100_000)}
	for i := range e.Milliseconds {
		e.Milliseconds[i] = float64(i*7919%100_003) / 1000
	}
	raw, err := json.Marshal(e)
	if err != nil {
		b.Fatal(err)
	}
	r, err := check.Judge(bed.target, raw)
	if err != nil {
		b.Fatal(err)
	}
	proof := bed.keep(check, r)
	v := bed.verifier()
	v.Checks = []audit.Check{check}
	b.SetBytes(int64(len(proof)))
	for b.Loop() {
		if _, err := v.Verify(b.Context(), proof); err != nil {
			b.Fatal(err)
		}
	}
}
