// Package ai checks that the model provider is bound, as the platform itself says.
package ai

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

const path = "/api/ai/binding"

// Check says that GET /api/ai/binding answers exactly {"ai_bound":true}.
func Check() audit.Check {
	return audit.Check{Name: "ai-binding", Title: "GET /api/ai/binding is ai_bound", Run: run}
}

// Evidence is the raw answer.
type Evidence struct {
	URL    string `json:"url"`
	Status int    `json:"status"`
	Body   string `json:"body"`
}

func run(ctx context.Context, t *audit.Target) (audit.Result, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL(path), nil)
	if err != nil {
		return audit.Result{}, fault.New(fault.Internal, "make a request for %s: %w", path, err)
	}
	res, err := t.HTTP.Do(req)
	if err != nil {
		return audit.Result{}, audit.Unreachable(http.MethodGet, t.URL(path), err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return audit.Result{}, audit.Unreachable(http.MethodGet, t.URL(path), err)
	}
	seen := Evidence{URL: t.PublicURL(path), Status: res.StatusCode, Body: audit.ScrubText(string(body))}
	if bound(res.StatusCode, body) {
		return audit.Conclude(fmt.Sprintf("%d %s", seen.Status, seen.Body), nil, seen), nil
	}
	return audit.Conclude(fmt.Sprintf("answers %d", seen.Status), []audit.Finding{{
		Severity: audit.Error, Code: "ai_unbound", URL: seen.URL, Got: fmt.Sprintf("%d %.120s", seen.Status, seen.Body), Want: `200 {"ai_bound":true}`,
		Message: "the model provider is not bound, or something else answers", Resource: audit.Resource{Kind: "response", Name: path},
		Hint: "cogctl audit routes; then cogctl contract explain orchestrator-svc/AI",
	}}, seen), nil
}

// bound wants the one member and nothing beside it.
func bound(status int, body []byte) bool {
	var doc map[string]any
	return status == http.StatusOK && json.Unmarshal(body, &doc) == nil && len(doc) == 1 && doc["ai_bound"] == true
}
