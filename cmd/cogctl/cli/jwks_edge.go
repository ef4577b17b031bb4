package cli

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/rotation"
)

// jwksEdge is the platform of an environment as a rotation looks at it: from outside.
type jwksEdge struct {
	d *Deps
	t *audit.Target
}

var maxAge = regexp.MustCompile(`(?:^|[ ,])(?:s-maxage|max-age)=(\d+)`)

// Served is the published key set; the longest age that it may be kept counts.
func (e jwksEdge) Served(ctx context.Context) (rotation.Served, error) {
	set, err := jwks.Fetch(ctx, e.t)
	if err != nil {
		return rotation.Served{}, err
	}
	var s rotation.Served
	for _, k := range set.Keys {
		s.KIDs = append(s.KIDs, k.KID)
	}
	for _, m := range maxAge.FindAllStringSubmatch(set.CacheControl, -1) {
		if n, err := strconv.Atoi(m[1]); err == nil {
			s.MaxAge = max(s.MaxAge, time.Duration(n)*time.Second)
		}
	}
	return s, nil
}

// Mint takes a guest's token; where guests are asked for more (Turnstile), one that the admin key mints.
func (e jwksEdge) Mint(ctx context.Context) (rotation.Token, error) {
	text, err := jwks.Guest(ctx, e.t, "")
	if kind := fault.KindOf(err); kind == fault.Denied || kind == fault.Invalid {
		key, noKey := e.d.adminKey("")
		if noKey != nil {
			return rotation.Token{}, fault.New(fault.Denied, "see which key signs: %w", err).
				WithHint("guests have to pass Turnstile here: set COGCTL_ADMIN_KEY, so that a token can be minted")
		}
		text, err = jwks.Mint(ctx, e.t, key, jwks.Claim{Email: "cogctl@" + e.t.Hostname})
	}
	if err != nil {
		return rotation.Token{}, err
	}
	token, _, err := jwks.Inspect(text, &jwks.Set{}, rules(e.t, jwks.Path))
	if err != nil {
		return rotation.Token{}, err
	}
	issued, _ := token.Claims["iat"].(float64)
	return rotation.Token{Text: text, KID: token.KID, Life: token.Expires.Sub(time.Unix(int64(issued), 0))}, nil
}

// Accepts calls the cheapest path on which a token that does not verify is refused.
func (e jwksEdge) Accepts(ctx context.Context, token string) (bool, error) {
	path := probePath(e.t.Contract)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.t.URL(path), nil)
	if err != nil {
		return false, fault.New(fault.Internal, "ask the gateway: %w", err)
	}
	req.Host = e.t.BaseURL.Host
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := e.t.HTTP.Do(req)
	if err != nil {
		return false, audit.Unreachable(http.MethodGet, e.t.PublicURL(path), err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) // so that the connection can be used again
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		return false, nil
	case res.StatusCode < http.StatusBadRequest:
		return true, nil
	default:
		return false, fault.New(fault.Unavailable, "GET %s answers %d, which says nothing about the token", e.t.PublicURL(path), res.StatusCode)
	}
}

// probePath is the first GET path that looks at a token.
func probePath(c *contract.Contract) string {
	for _, path := range sortedKeys(c.HTTP.Paths) {
		p := c.HTTP.Paths[path]
		if p.Auth == contract.AccessOptional && slices.Contains(p.Methods, http.MethodGet) {
			return path
		}
	}
	for _, path := range sortedKeys(c.HTTP.Paths) {
		if p := c.HTTP.Paths[path]; p.Auth == contract.AccessToken && slices.Contains(p.Methods, http.MethodGet) {
			return path
		}
	}
	return jwks.Path
}
