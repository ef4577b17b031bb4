package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// latencies is the evidence of a load check as large as they get.
type latencies struct {
	Milliseconds []float64 `json:"latencies_ms"`
}

// latencyCheck judges the way a load check does: it sorts, and reads a quantile.
func latencyCheck() audit.Check {
	return audit.Check{Name: "latency", Title: "it is quick", Judge: audit.Rejudge(func(_ *audit.Target, e latencies) (audit.Result, error) {
		sorted := slices.Sorted(slices.Values(e.Milliseconds))
		return audit.Conclude(fmt.Sprintf("P90 %g ms", sorted[len(sorted)*9/10]), nil, e), nil
	})}
}

// verifyProof verifies a proof of 100,000 latencies, beside reading the same bytes as JSON and nothing more.
func verifyProof(ctx context.Context, s *stage, o options) ([]figure, error) {
	const total = 100_000
	proof, v, err := makeProof(ctx, s.dir, total)
	if err != nil {
		return nil, err
	}
	f := figure{Name: "verify a proof of 100,000 latencies", Unit: "ms", Bound: 1000, RawUnits: "ms"}
	for range o.rounds {
		begun := time.Now()
		got, err := v.Verify(ctx, proof)
		if err != nil {
			return nil, err
		}
		took := ms(time.Since(begun))
		begun = time.Now()
		var plain any
		if err := json.Unmarshal(got.Payload, &plain); err != nil {
			return nil, fault.New(fault.Internal, "read the payload: %w", err)
		}
		f.keep("verify", took)
		f.keep("json.Unmarshal of the statement", ms(time.Since(begun)))
		f.Rounds = append(f.Rounds, took)
	}
	f.Against = fmt.Sprintf("json.Unmarshal of the statement: %s ms", number(median(f.Raw["json.Unmarshal of the statement"])))
	return []figure{f}, nil
}

func makeProof(ctx context.Context, dir string, total int) ([]byte, evidence.Verifier, error) {
	c, err := contract.Load()
	if err != nil {
		return nil, evidence.Verifier{}, err
	}
	signer, err := evidence.NewSigner()
	if err != nil {
		return nil, evidence.Verifier{}, err
	}
	e := latencies{make([]float64, total)}
	for i := range e.Milliseconds {
		e.Milliseconds[i] = float64(i*7919%100_003) / 1000
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, evidence.Verifier{}, fault.New(fault.Internal, "encode latencies: %w", err)
	}
	env := c.Envs["production"]
	t := &audit.Target{Env: "production", Hostname: env.Hostname, ZoneName: env.Zone, BaseURL: &url.URL{Scheme: "https", Host: env.Hostname}, AccountID: "bench", Contract: c, Now: time.Now}
	r, err := latencyCheck().Judge(t, raw)
	if err != nil {
		return nil, evidence.Verifier{}, err
	}
	path, err := evidence.Keep(ctx, dir, latencyCheck(), t, evidence.Origin{Tool: "bench", At: time.Now(), Signer: signer}, r)
	if err != nil {
		return nil, evidence.Verifier{}, err
	}
	proof, err := os.ReadFile(path)
	if err != nil {
		return nil, evidence.Verifier{}, fault.New(fault.Unavailable, "read the proof: %w", err)
	}
	return proof, evidence.Verifier{Ring: evidence.Ring{signer.ID: signer.Key}, Checks: []audit.Check{latencyCheck()}, Contract: c}, nil
}
