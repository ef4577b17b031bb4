// Package oidc asks a CI run's OpenID provider for a token, and believes what it says once the issuer's own keys verify it.
package oidc

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/cognomega/edge/internal/fault"
)

// Claims is what a token of GitHub Actions says of the run that asked for it. None of it is a secret.
type Claims struct {
	Issuer      string `json:"iss"`
	Subject     string `json:"sub"`
	Repository  string `json:"repository"`
	Ref         string `json:"ref"`
	SHA         string `json:"sha"`
	Workflow    string `json:"job_workflow_ref"`
	Environment string `json:"environment"`
	Event       string `json:"event_name"`
	RunID       string `json:"run_id"`
	RunAttempt  string `json:"run_attempt"`
	Actor       string `json:"actor"`
}

// Provider is where this run's tokens come from: ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN.
type Provider struct {
	RequestURL   string
	RequestToken string
	HTTP         *http.Client
}

// Limits of what an issuer may answer, and of how wrong a clock may be.
const (
	maxAnswer = 1 << 20
	leeway    = time.Minute
	minBits   = 2048 // RFC 7518, section 3.3
)

// Token asks for a token for an audience. It is a credential: no error repeats it.
func (p Provider) Token(ctx context.Context, audience string) (string, error) {
	if p.RequestURL == "" || p.RequestToken == "" {
		return "", fault.New(fault.Refused, "this is no run of GitHub Actions that may ask for an OpenID token").
			WithHint("run the deploy workflow; it needs `permissions: id-token: write`")
	}
	u, err := url.Parse(p.RequestURL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return "", fault.New(fault.Refused, "the address for OpenID tokens is not https")
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	var answer struct {
		Value string `json:"value"`
	}
	if err := getJSON(ctx, p.HTTP, u, p.RequestToken, &answer); err != nil {
		return "", err
	}
	if answer.Value == "" {
		return "", fault.New(fault.Unavailable, "ask for an OpenID token: the answer holds none")
	}
	return answer.Value, nil
}

// Verifier is the one issuer and audience that tokens are believed of.
type Verifier struct {
	Issuer, Audience string
	HTTP             *http.Client
	Now              func() time.Time
}

// Verify returns the claims of a token that the issuer signed for the audience and that is valid now. A token that is not is
// fault.Refused; keys that cannot be fetched are fault.Unavailable, and nothing is concluded.
func (v Verifier) Verify(ctx context.Context, raw string) (Claims, error) {
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || len(token.Headers) != 1 || token.Headers[0].KeyID == "" {
		return Claims{}, fault.New(fault.Refused, "the OpenID token is not one signed with RS256 by a key that it names")
	}
	key, err := v.key(ctx, token.Headers[0].KeyID)
	if err != nil {
		return Claims{}, err
	}
	var (
		said  jwt.Claims
		about Claims
	)
	if err := token.Claims(key, &said, &about); err != nil {
		return Claims{}, fault.New(fault.Refused, "the OpenID token's signature does not verify with the issuer's key %.40q", token.Headers[0].KeyID)
	}
	return about, v.valid(said)
}

func (v Verifier) valid(said jwt.Claims) error {
	now := v.Now()
	switch {
	case said.Issuer != v.Issuer:
		return fault.New(fault.Refused, "the OpenID token is issued by %.80q, want %s", said.Issuer, v.Issuer)
	case len(said.Audience) != 1 || said.Audience[0] != v.Audience:
		return fault.New(fault.Refused, "the OpenID token is for %.120q, want %s alone", []string(said.Audience), v.Audience)
	case said.Expiry == nil || said.IssuedAt == nil:
		return fault.New(fault.Refused, "the OpenID token does not say from when to when it is valid")
	case !now.Before(said.Expiry.Time().Add(leeway)):
		return fault.New(fault.Refused, "the OpenID token has expired at %s", said.Expiry.Time().UTC().Format(time.RFC3339))
	case now.Add(leeway).Before(said.IssuedAt.Time()) || said.NotBefore != nil && now.Add(leeway).Before(said.NotBefore.Time()):
		return fault.New(fault.Refused, "the OpenID token is not valid yet: this machine's clock is wrong, or the issuer's")
	}
	return nil
}

// key is the issuer's key of that id. The key set must be the issuer's own: a discovery document that points elsewhere is refused.
func (v Verifier) key(ctx context.Context, id string) (*rsa.PublicKey, error) {
	issuer, err := url.Parse(v.Issuer)
	if err != nil || issuer.Scheme != "https" {
		return nil, fault.New(fault.Invalid, "issuer %q is no https address", v.Issuer)
	}
	var discovery struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := getJSON(ctx, v.HTTP, issuer.JoinPath(".well-known", "openid-configuration"), "", &discovery); err != nil {
		return nil, err
	}
	at, err := url.Parse(discovery.JWKSURI)
	if err != nil || discovery.Issuer != v.Issuer || at.Scheme != "https" || at.Host != issuer.Host {
		return nil, fault.New(fault.Refused, "the issuer's description is of %.80q with keys at %.120q, want %s", discovery.Issuer, discovery.JWKSURI, v.Issuer)
	}
	var set jose.JSONWebKeySet
	if err := getJSON(ctx, v.HTTP, at, "", &set); err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(set.Key(id), func(k jose.JSONWebKey) bool { return !usable(k) })
	if len(found) != 1 {
		return nil, fault.New(fault.Refused, "the issuer has %d RS256 keys with the id %.40q that the OpenID token names", len(found), id)
	}
	return found[0].Key.(*rsa.PublicKey), nil
}

func usable(k jose.JSONWebKey) bool {
	key, ok := k.Key.(*rsa.PublicKey)
	return ok && key.N.BitLen() >= minBits && (k.Use == "" || k.Use == "sig") && (k.Algorithm == "" || k.Algorithm == string(jose.RS256))
}

// getJSON reads a small JSON document. Redirects are not followed: they could lead a credential or a key set elsewhere.
func getJSON(ctx context.Context, client *http.Client, u *url.URL, bearer string, into any) error {
	where := u.Scheme + "://" + u.Host + u.Path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fault.New(fault.Internal, "ask %s: %w", where, err)
	}
	req.Header.Set("Accept", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	still := *client
	still.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := still.Do(req)
	if err != nil {
		return fault.New(fault.Unavailable, "ask %s: %w", where, bare(err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fault.New(fault.Unavailable, "ask %s: it answers %s", where, res.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fault.New(fault.Unavailable, "ask %s: %w", where, err)
	}
	if json.Unmarshal(raw, into) != nil {
		return fault.New(fault.Unavailable, "ask %s: the answer is not the JSON that was asked for", where)
	}
	return nil
}

// bare leaves out the address, whose query is nobody's business.
func bare(err error) error {
	if wrapped, ok := err.(*url.Error); ok { //nolint:errorlint // http.Client wraps once
		return wrapped.Err
	}
	return err
}
