package jwks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

// Check says that the key set is published, is sound, and verifies a token made a moment ago.
func Check() audit.Check {
	return audit.Check{Name: "jwks", Title: "JWKS serves keys, verifies a new token", Run: run}
}

// Evidence is the published document, and the token that was verified without its signature.
type Evidence struct {
	JWKS  json.RawMessage `json:"jwks,omitempty"`
	Set   *Set            `json:"set,omitempty"`
	Token *Token          `json:"token,omitempty"`
}

func run(ctx context.Context, t *audit.Target) (audit.Result, error) {
	set, err := Fetch(ctx, t)
	if err != nil {
		return finding(t, Path, "jwks_missing", err)
	}
	evidence := Evidence{JWKS: set.raw, Set: set}
	findings := set.Judge(t.Contract.Auth)
	text, err := Guest(ctx, t)
	if err != nil {
		return finding(t, "/auth/guest", "guest_refused", err)
	}
	token, wrong, err := Inspect(text, set, Rules{Auth: t.Contract.Auth, Issuer: t.Issuer, Now: t.Now(), URL: t.PublicURL("/auth/guest")})
	if err != nil {
		return audit.Result{}, err
	}
	evidence.Token = &token
	findings = append(findings, wrong...)
	findings = append(findings, guest(t, token)...)
	return audit.Conclude(fmt.Sprintf("kid %s of %d published", token.KID, len(set.Keys)), findings, evidence), nil
}

// finding makes a failed check of an answer that says no; only no answer at all is an error.
func finding(t *audit.Target, path, code string, err error) (audit.Result, error) {
	if errors.Is(err, fault.Unavailable) {
		return audit.Result{}, err
	}
	f := audit.Finding{Severity: audit.Error, Code: code, URL: t.PublicURL(path), Message: err.Error(), Hint: fault.HintOf(err), Resource: audit.Resource{Kind: "response", Name: path}}
	return audit.Conclude(err.Error(), []audit.Finding{f}, Evidence{}), nil
}

// guest says what a guest's token must say of its bearer.
func guest(t *audit.Target, token Token) []audit.Finding {
	sub := fmt.Sprint(token.Claims["sub"])
	role := fmt.Sprint(token.Claims["role"])
	if strings.HasPrefix(sub, "guest:") && len(sub) == len("guest:")+36 && role == "guest" && token.Claims["email"] == nil {
		return nil
	}
	return []audit.Finding{{
		Severity: audit.Error, Code: "guest_claims", URL: t.PublicURL("/auth/guest"), Got: sub + ", role " + role, Want: "guest:<uuid>, role guest, no email",
		Message: "a guest's token says more or less than that it is a guest's", Resource: audit.Resource{Kind: "token", ID: token.KID, Name: sub},
	}}
}
