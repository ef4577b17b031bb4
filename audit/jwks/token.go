package jwks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Guest asks for a guest token, with a Turnstile response where guests need one.
func Guest(ctx context.Context, t *audit.Target, turnstile string) (string, error) {
	body := []byte("{}")
	if turnstile != "" {
		body, _ = json.Marshal(map[string]string{"turnstile_token": turnstile}) // text always encodes
	}
	return ask(ctx, t, guestPath, nil, body)
}

// Claim is what a minted token shall say.
type Claim struct {
	Email string `json:"email"`
	Role  string `json:"role,omitempty"`
	TID   string `json:"tid,omitempty"`
}

// Mint asks for a user's token, with the admin key.
func Mint(ctx context.Context, t *audit.Target, adminKey string, c Claim) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", fault.New(fault.Internal, "encode the claims: %w", err)
	}
	return ask(ctx, t, "/auth/token", http.Header{"X-Admin-Key": {adminKey}}, body)
}

func ask(ctx context.Context, t *audit.Target, path string, header http.Header, body []byte) (string, error) {
	res, err := send(ctx, t, http.MethodPost, path, header, body...)
	if err != nil {
		return "", err
	}
	return tokenOf(t, path, res)
}

// tokenOf takes the token out of an answer.
func tokenOf(t *audit.Target, path string, res answer) (string, error) {
	if res.status >= http.StatusBadRequest {
		return "", refused(t, path, res.status, res.body)
	}
	var doc struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(res.body, &doc) != nil || strings.Count(doc.Token, ".") != 2 {
		return "", fault.New(fault.Finding, "POST %s answers %d without a token", t.PublicURL(path), res.status)
	}
	return doc.Token, nil
}

const turnstileRequired = "turnstile_required"

// problem is the platform's own code. An answer that is not ours has none; its status says enough.
type problem struct{ Error, Detail string }

func codeOf(body []byte) (p problem) {
	_ = json.Unmarshal(body, &p)
	return p
}

// refused keeps the platform's own code: {error, detail}.
func refused(t *audit.Target, path string, status int, body []byte) error {
	doc := codeOf(body)
	words := strings.TrimSpace(doc.Error + " " + doc.Detail)
	kind := fault.Finding
	switch status {
	case http.StatusTooManyRequests:
		kind = fault.Unavailable
	case http.StatusUnauthorized:
		kind = fault.Unauthenticated
	case http.StatusForbidden:
		kind = fault.Denied
	case http.StatusBadRequest:
		kind = fault.Invalid
	case http.StatusNotFound:
		kind = fault.NotFound
	}
	err := fault.New(kind, "POST %s answers %d %s", t.PublicURL(path), status, words)
	if doc.Error == turnstileRequired {
		return err.WithHint("guests have to pass Turnstile here: set COGCTL_ADMIN_KEY, so that a user's token can be minted instead")
	}
	if doc.Error == "unknown_tenant" {
		return err.WithHint("cogctl tenants list; a new one is added with cogctl tenants add")
	}
	return err
}

// Token is a token taken apart. Its signature is left out: without it the rest may be shown and kept.
type Token struct {
	Header   map[string]any `json:"header"`
	Claims   map[string]any `json:"claims"`
	Verified bool           `json:"verified"`
	KID      string         `json:"kid"`
	Expires  time.Time      `json:"expires_at"`
}

// Rules say when a token is good.
type Rules struct {
	Auth   contract.Auth
	Issuer string
	Now    time.Time
	URL    string // where the token came from, named by findings
}

// Inspect takes a token apart and verifies it with a key set. What is no token at all is fault.Invalid.
func Inspect(text string, s *Set, r Rules) (Token, []audit.Finding, error) {
	return inspect(text, s, r, func(key jose.JSONWebKey) error {
		signed, err := jose.ParseSigned(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(r.Auth.Token.Alg)})
		if err == nil {
			_, err = signed.Verify(key.Key)
		}
		return err
	})
}

// inspect leaves it to signed whether a key signed the text: the signature itself is not always at hand.
func inspect(text string, s *Set, r Rules, signed func(jose.JSONWebKey) error) (Token, []audit.Finding, error) {
	t, err := split(text, r.Auth.Token.MaxBytes)
	if err != nil {
		return t, nil, err
	}
	v := verifying{t: &t, r: r, s: s}
	v.signature(signed)
	v.times()
	v.issuer()
	t.Verified = len(v.findings) == 0
	return t, v.findings, nil
}

func split(text string, limit int) (Token, error) {
	var t Token
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(text) > limit {
		return t, fault.New(fault.Invalid, "not a token: want three parts with dots between them, %d bytes at most", limit)
	}
	for i, into := range []*map[string]any{&t.Header, &t.Claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil || *into == nil {
			return t, fault.New(fault.Invalid, "not a token: part %d is not base64url JSON", i+1)
		}
	}
	t.KID, _ = t.Header["kid"].(string)
	t.Expires = seconds(t.Claims["exp"])
	return t, nil
}

func seconds(claim any) time.Time {
	if n, ok := claim.(float64); ok && n > 0 && n < 1<<40 {
		return time.Unix(int64(n), 0).UTC()
	}
	return time.Time{}
}

type verifying struct {
	t        *Token
	r        Rules
	s        *Set
	findings []audit.Finding
}

func (v *verifying) add(code, got, want, message string) {
	v.findings = append(v.findings, audit.Finding{
		Severity: audit.Error, Code: code, URL: v.r.URL, Got: got, Want: want, Message: message,
		Resource: audit.Resource{Kind: "token", ID: v.t.KID, Name: fmt.Sprint(v.t.Claims["sub"])},
	})
}

// signature checks the algorithm before anything is computed with it: the token must not choose how it is verified.
func (v *verifying) signature(signed func(jose.JSONWebKey) error) {
	want := v.r.Auth.Token.Alg
	if alg := fmt.Sprint(v.t.Header["alg"]); alg != want {
		v.add("token_alg", alg, want, "the token is signed with "+alg)
		return
	}
	i := slices.IndexFunc(v.s.verifier.Keys, func(k jose.JSONWebKey) bool { return k.KeyID == v.t.KID && v.t.KID != "" })
	if i < 0 {
		v.add("token_kid_unknown", v.t.KID, strings.Join(v.s.kids(), ", "), "no published key is named "+v.t.KID)
		return
	}
	if err := signed(v.s.verifier.Keys[i]); err != nil {
		v.add("token_signature", "does not verify", "verifies with key "+v.t.KID, "the signature does not verify: "+reason(err))
	}
}

func reason(err error) string {
	if errors.Is(err, jose.ErrCryptoFailure) {
		return "it was made with another key, or the token was changed"
	}
	return err.Error()
}

func (v *verifying) times() {
	skew := time.Duration(v.r.Auth.Token.ClockSkewS) * time.Second
	switch {
	case v.t.Expires.IsZero():
		v.add("token_exp", fmt.Sprint(v.t.Claims["exp"]), "a time", "the token never expires")
	case v.r.Now.After(v.t.Expires.Add(skew)):
		v.add("token_expired", v.t.Expires.Format(time.RFC3339), "later than "+v.r.Now.UTC().Format(time.RFC3339), "the token has expired")
	}
	issued := seconds(v.t.Claims["iat"])
	if life := v.t.Expires.Sub(issued); !issued.IsZero() && life > time.Duration(v.r.Auth.Token.LifeS)*time.Second {
		v.add("token_life", life.String(), fmt.Sprintf("%ds", v.r.Auth.Token.LifeS), "the token lives longer than the contract allows")
	}
	if notBefore := seconds(v.t.Claims["nbf"]); notBefore.After(v.r.Now.Add(skew)) || issued.After(v.r.Now.Add(skew)) {
		v.add("token_early", v.r.Now.UTC().Format(time.RFC3339), "after its nbf and iat", "the token is not valid yet")
	}
}

func (v *verifying) issuer() {
	if iss := fmt.Sprint(v.t.Claims["iss"]); iss != v.r.Issuer {
		v.add("token_issuer", iss, v.r.Issuer, "the token is another issuer's")
	}
	if sub, _ := v.t.Claims["sub"].(string); sub == "" {
		v.add("token_sub", "none", "a subject", "the token names nobody")
	}
}
