// Package ai checks that the model provider is bound, as the platform itself says.
package ai

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

const path = "/api/ai/binding"

// Check says that GET /api/ai/binding answers exactly {"ai_bound":true}.
func Check() audit.Check {
	return audit.Check{Name: "ai-binding", Title: "GET /api/ai/binding is ai_bound", Run: run, Judge: audit.Rejudge(judge)}
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
	return judge(t, Evidence{URL: t.PublicURL(path), Status: res.StatusCode, Body: audit.ScrubText(strings.ToValidUTF8(string(body), "\uFFFD"))})
}

func judge(t *audit.Target, seen Evidence) (audit.Result, error) {
	if want := t.PublicURL(path); seen.URL != want {
		return audit.Result{}, audit.Misfit("it is an answer of %s, not of %s", seen.URL, want)
	}
	if bound(seen.Status, seen.Body) {
		return audit.Conclude(fmt.Sprintf("%d %s", seen.Status, seen.Body), nil, seen), nil
	}
	return audit.Conclude(fmt.Sprintf("answers %d", seen.Status), []audit.Finding{{
		Severity: audit.Error, Code: "ai_unbound", URL: seen.URL, Got: fmt.Sprintf("%d %.120s", seen.Status, seen.Body), Want: `200 {"ai_bound":true}`,
		Message: "the model provider is not bound, or something else answers", Resource: audit.Resource{Kind: "response", Name: path},
		Hint: "cogctl audit routes; then cogctl contract explain orchestrator-svc/AI",
	}}, seen), nil
}

// bound wants the one member and nothing beside it.
func bound(status int, body string) bool {
	var doc map[string]any
	return status == http.StatusOK && json.Unmarshal([]byte(body), &doc) == nil && len(doc) == 1 && doc["ai_bound"] == true
}
