// Package money checks the path from usage to balance: what is used is in the ledger once and soon, and what is read agrees with it.
package money

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

const (
	creditsPath = "/api/credits"
	adjustPath  = "/api/credits/adjust"
	usagePath   = "/api/billing/usage"
)

// Checks is what Phase 1 promises, with bursts of the size given.
func Checks(burst int) []audit.Check {
	return []audit.Check{Credits(), Drain(burst)}
}

// visitor is a made-up account of one run, and the operator who gives it credits.
type visitor struct {
	t            *audit.Target
	email, token string
	admin        string
}

// arrive makes up an account: an address that nobody can have (RFC 2606), and that no earlier run had.
func arrive(ctx context.Context, t *audit.Target) (visitor, error) {
	if t.Ledger == nil || t.AdminKey == nil {
		return visitor{}, fault.New(fault.Unavailable, "this environment's ledger or its admin key is not known here").
			WithHint("set DATABASE_URL and COGCTL_ADMIN_KEY; on this machine `cogctl up` sees to both")
	}
	admin, err := t.AdminKey()
	if err != nil {
		return visitor{}, err
	}
	v := visitor{t: t, admin: admin, email: fmt.Sprintf("proof-%x@money.invalid", t.Now().UnixNano())}
	v.token, err = jwks.Mint(ctx, t, admin, jwks.Claim{Email: v.email})
	return v, err
}

// answer is what a request came to; Body is kept only where it decides something.
type answer struct {
	status int
	body   []byte
	took   time.Duration
}

func (v visitor) ask(ctx context.Context, method, path string, header map[string]string, body any) (answer, error) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return answer{}, fault.New(fault.Internal, "encode a request: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, v.t.URL(path), payload)
	if err != nil {
		return answer{}, fault.New(fault.Internal, "make a request for %s: %w", path, err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	start := time.Now()
	res, err := v.t.HTTP.Do(req)
	if err != nil {
		return answer{}, audit.Unreachable(method, v.t.PublicURL(path), err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return answer{}, audit.Unreachable(method, v.t.PublicURL(path), err)
	}
	return answer{res.StatusCode, raw, time.Since(start)}, nil
}

func (v visitor) own() map[string]string {
	return map[string]string{"Authorization": "Bearer " + v.token, "Content-Type": "application/json"}
}

func (v visitor) operator(idempotencyKey string) map[string]string {
	return map[string]string{"X-Admin-Key": v.admin, "Content-Type": "application/json", "Idempotency-Key": idempotencyKey}
}

// bound is what the contract promises of one flow.
func bound(t *audit.Target, kind contract.FlowKind) (string, contract.Flow, error) {
	for id, f := range t.Contract.Flow {
		if f.Kind == kind {
			return id, f, nil
		}
	}
	return "", contract.Flow{}, fault.New(fault.Invalid, "the contract promises no flow of kind %s", kind)
}

// pauseFor waits a moment between two looks.
func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "wait for the ledger: %w", ctx.Err())
	}
}

func finding(code, url, got, want, message string) audit.Finding {
	return audit.Finding{
		Severity: audit.Error, Code: code, URL: url, Got: got, Want: want, Message: message, Resource: audit.Resource{Kind: "response", Name: url},
		Hint: "cogctl db verify; then OPS.md, the queue is backing up",
	}
}
