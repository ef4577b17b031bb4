package platform

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/doubles"
)

// Doubles says how the running local cloud's doubles of the model providers are set, and what they have been asked.
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
