package jwks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

// Check says that the key set is published, is sound, and verifies a token made a moment ago.
func Check() audit.Check {
	return audit.Check{Name: "jwks", Title: "JWKS serves keys, verifies a new token", Run: run, Judge: audit.Rejudge(judge)}
}

const (
	guestPath = "/auth/guest"
	mintPath  = "/auth/token" // where a token comes from when guests have to pass Turnstile, as no program can
)

func run(ctx context.Context, t *audit.Target) (audit.Result, error) {
	e, err := see(ctx, t)
	if err != nil {
		return audit.Result{}, err
	}
	return judge(t, e)
}

// see asks for the key set, and for a token when there is a set to verify it with.
func see(ctx context.Context, t *audit.Target) (Evidence, error) {
	e := Evidence{At: t.Now().UTC()}
	res, err := send(ctx, t, "GET", Path, nil)
	if err != nil {
		return e, err
	}
	e.JWKS = keep(t.PublicURL(Path), res)
	set, err := e.JWKS.set()
	if err != nil {
		return e, nil //nolint:nilerr // an answer that is no key set is evidence, not an error
	}
	path, res, err := newToken(ctx, t)
	if err != nil {
		return e, err
	}
	text, err := tokenOf(t, path, res)
	guest := keep(t.PublicURL(path), withoutToken(res, text))
	e.Guest = &guest
	if err != nil {
		return e, nil //nolint:nilerr // a refusal is evidence too
	}
	e.Token, err = keepToken(text, set, t.Contract.Auth)
	return e, err
}

// newToken asks for a guest's token; where a guest has to pass Turnstile and the admin key is known, for a user's.
func newToken(ctx context.Context, t *audit.Target) (path string, res answer, err error) {
	res, err = send(ctx, t, "POST", guestPath, nil, []byte("{}")...)
	if err != nil || t.AdminKey == nil || codeOf(res.body).Error != turnstileRequired {
		return guestPath, res, err
	}
	key, noKey := t.AdminKey()
	if noKey != nil {
		return guestPath, res, nil //nolint:nilerr // the refusal is the evidence, and says what is missing
	}
	res, err = send(ctx, t, "POST", mintPath, http.Header{"X-Admin-Key": {key}}, []byte(`{"email":"cogctl@`+t.Hostname+`"}`)...)
	return mintPath, res, err
}

func judge(t *audit.Target, e Evidence) (audit.Result, error) {
	if err := e.fits(t); err != nil {
		return audit.Result{}, err
	}
	set, err := e.JWKS.set()
	if err != nil {
		return finding(t, e, Path, "jwks_missing", err)
	}
	if e.Guest == nil {
		return audit.Result{}, audit.Misfit("it holds a key set and no answer of %s", guestPath)
	}
	path := guestPath
	if e.Guest.URL == t.PublicURL(mintPath) {
		path = mintPath
	}
	if _, err := tokenOf(t, path, e.Guest.answer()); err != nil {
		return finding(t, e, path, "guest_refused", err)
	}
	if e.Token == nil {
		return audit.Result{}, audit.Misfit("it holds an answer with a token, and no token")
	}
	findings := set.Judge(t.Contract.Auth)
	token, wrong, err := e.Token.inspect(set, Rules{Auth: t.Contract.Auth, Issuer: t.Issuer, Now: e.At, URL: e.Guest.URL})
	if err != nil {
		return audit.Result{}, err
	}
	findings = append(findings, wrong...)
	found := fmt.Sprintf("kid %s of %d published", token.KID, len(set.Keys))
	if path == mintPath {
		return audit.Conclude(found+", of a user's token: guests have to pass Turnstile", findings, e), nil
	}
	return audit.Conclude(found, append(findings, guest(t, token)...), e), nil
}

// finding makes a failed check of an answer that says no; only no answer at all is an error.
func finding(t *audit.Target, e Evidence, path, code string, err error) (audit.Result, error) {
	if errors.Is(err, fault.Unavailable) {
		return audit.Result{}, err
	}
	f := audit.Finding{Severity: audit.Error, Code: code, URL: t.PublicURL(path), Message: err.Error(), Hint: fault.HintOf(err), Resource: audit.Resource{Kind: "response", Name: path}}
	return audit.Conclude(err.Error(), []audit.Finding{f}, e), nil
}

// guest says what a guest's token must say of its bearer.
func guest(t *audit.Target, token Token) []audit.Finding {
	sub := fmt.Sprint(token.Claims["sub"])
	role := fmt.Sprint(token.Claims["role"])
	if strings.HasPrefix(sub, "guest:") && len(sub) == len("guest:")+36 && role == "guest" && token.Claims["email"] == nil {
		return nil
	}
	return []audit.Finding{{
		Severity: audit.Error, Code: "guest_claims", URL: t.PublicURL(guestPath), Got: sub + ", role " + role, Want: "guest:<uuid>, role guest, no email",
		Message: "a guest's token says more or less than that it is a guest's", Resource: audit.Resource{Kind: "token", ID: token.KID, Name: sub},
	}}
}
