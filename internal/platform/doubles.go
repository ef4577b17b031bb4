package platform

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/doubles"
)

// Doubles says how the running local cloud's doubles are set, and what they have been asked.
func Doubles(ctx context.Context, l Layout) (all []doubles.Status, err error) {
	e, err := RunningLocal(ctx, l)
	if err != nil {
		return nil, err
	}
	return all, control(ctx, e, http.MethodGet, "/doubles", &all)
}

// PlanDouble replaces what a provider's double does wrong; the zero plan makes it well.
func PlanDouble(ctx context.Context, l Layout, provider string, p doubles.Plan) (all []doubles.Status, err error) {
	e, err := RunningLocal(ctx, l)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(p)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode the plan: %w", err)
	}
	return all, controlWith(ctx, e, http.MethodPut, "/doubles/"+url.PathEscape(provider), body, &all)
}

// SolveTurnstile has a person pass a widget of the running local cloud's Turnstile.
func SolveTurnstile(ctx context.Context, l Layout, c doubles.Challenge) (solved doubles.Solved, err error) {
	e, err := RunningLocal(ctx, l)
	if err != nil {
		return solved, err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return solved, fault.New(fault.Internal, "encode the challenge: %w", err)
	}
	return solved, controlWith(ctx, e, http.MethodPost, "/doubles/turnstile/responses", body, &solved)
}

// DoubleFaults lets checks have the doubles fail, and count what they were asked.
type DoubleFaults struct {
	Layout Layout
}

// Requests counts what each provider was asked, by model.
func (d DoubleFaults) Requests(ctx context.Context) (map[string]map[string]int, error) {
	all, err := Doubles(ctx, d.Layout)
	counts := map[string]map[string]int{}
	for _, s := range all {
		counts[s.Provider] = s.Models
	}
	return counts, err
}

// Fail has every request of a provider meet a fault; the zero fault makes it well.
func (d DoubleFaults) Fail(ctx context.Context, provider string, f audit.ProviderFault) error {
	p := doubles.Plan{Faults: []doubles.Fault{}, RetryAfterS: f.RetryAfterS, After: f.After}
	if f.Kind != "" {
		p.Faults = append(p.Faults, doubles.Fault{Kind: doubles.Kind(f.Kind), Share: 1})
	}
	_, err := PlanDouble(ctx, d.Layout, provider, p)
	return err
}
