// Package jwks looks at the published key set, and verifies tokens with it the way a stranger would.
package jwks

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Path is where the key set is published.
const Path = "/.well-known/jwks.json"

// bodyLimit is far above any key set or token answer.
const bodyLimit = 1 << 20

// Key is one published key.
type Key struct {
	KID        string `json:"kid"`
	Alg        string `json:"alg"`
	Use        string `json:"use"`
	Type       string `json:"kty"`
	Bits       int    `json:"bits"`
	Thumbprint string `json:"thumbprint_sha256"` // RFC 7638, base64url
}

// Set is a published key set.
type Set struct {
	URL          string `json:"url"`
	CacheControl string `json:"cache_control"`
	Keys         []Key  `json:"keys"`

	raw      []byte
	verifier jose.JSONWebKeySet
}

// Fetch reads the published key set. An answer that is none is a fault.Finding; no answer is fault.Unavailable.
func Fetch(ctx context.Context, t *audit.Target) (*Set, error) {
	res, err := send(ctx, t, http.MethodGet, Path, nil)
	if err != nil {
		return nil, err
	}
	return keep(t.PublicURL(Path), res).set()
}

// parse reads a key set. A key of a kind that cannot be used is kept without bits: it is a finding, not a reason to stop.
func parse(body []byte) (*Set, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &doc); err != nil || doc.Keys == nil {
		return nil, fault.New(fault.Finding, "the published key set is not JSON with an array keys").WithHint("publish it again: cogctl up")
	}
	s := &Set{raw: body, Keys: []Key{}}
	for _, raw := range doc.Keys {
		var k Key
		if err := json.Unmarshal(raw, &k); err != nil {
			k = Key{Type: "unreadable"}
		}
		var jwk jose.JSONWebKey
		if jwk.UnmarshalJSON(raw) == nil {
			if key, ok := jwk.Key.(*rsa.PublicKey); ok {
				k.Bits = key.N.BitLen()
			}
			if sum, err := jwk.Thumbprint(crypto.SHA256); err == nil {
				k.Thumbprint = base64.RawURLEncoding.EncodeToString(sum)
			}
			s.verifier.Keys = append(s.verifier.Keys, jwk)
		}
		s.Keys = append(s.Keys, k)
	}
	return s, nil
}

// privateMembers are the JWK members that only the owner of a key may have (RFC 7518, section 6).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// Judge compares a key set with the contract.
func (s *Set) Judge(c contract.Auth) []audit.Finding {
	var findings []audit.Finding
	add := func(code, kid, got, want, message string) {
		findings = append(findings, audit.Finding{
			Severity: audit.Error, Code: code, URL: s.URL, Got: got, Want: want, Message: message, Resource: audit.Resource{Kind: "jwk", ID: kid, Name: kid},
		})
	}
	if len(s.Keys) == 0 {
		add("jwks_empty", "", "no key", "at least one", "the key set is empty: no token can be verified")
	}
	if len(s.Keys) > c.JWKS.MaxKeys {
		add("jwks_long", "", fmt.Sprint(len(s.Keys)), fmt.Sprint(c.JWKS.MaxKeys), "more keys than a rotation ever needs")
	}
	seen := map[string]bool{}
	for _, k := range s.Keys {
		if k.KID == "" || seen[k.KID] {
			add("jwks_kid", k.KID, k.KID, "a name of its own", "a key without a name, or with another's, cannot be chosen")
		}
		seen[k.KID] = true
		if k.Type != "RSA" || k.Alg != c.Token.Alg || k.Use != "" && k.Use != "sig" {
			add("jwks_alg", k.KID, strings.TrimSpace(k.Type+" "+k.Alg+" "+k.Use), "RSA "+c.Token.Alg+" sig", "key "+k.KID+" is of another kind than tokens use")
		} else if k.Bits < c.Token.MinModulusBits {
			add("jwks_weak", k.KID, fmt.Sprint(k.Bits), fmt.Sprint(c.Token.MinModulusBits), "key "+k.KID+" is too short")
		}
	}
	if leaked := s.private(); leaked != "" {
		add("jwks_private", "", leaked, "public members only", "a private member of a key is published: revoke that key now")
	}
	if want := fmt.Sprintf("public, max-age=%d", c.JWKS.MaxAgeS); s.CacheControl != want {
		add("jwks_cache", "", s.CacheControl, want, "rotation waits as long as the contract says a key set may be held")
	}
	return findings
}

func (s *Set) private() string {
	var doc struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(s.raw, &doc) != nil {
		return ""
	}
	for _, k := range doc.Keys {
		for _, member := range privateMembers {
			if _, ok := k[member]; ok {
				return member
			}
		}
	}
	return ""
}

// kids lists the names of the published keys, sorted.
func (s *Set) kids() []string {
	var names []string
	for _, k := range s.Keys {
		names = append(names, k.KID)
	}
	slices.Sort(names)
	return names
}

// answer is what a request got, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func send(ctx context.Context, t *audit.Target, method, path string, header http.Header, body ...byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, t.URL(path), bytes.NewReader(body))
	if err != nil {
		return answer{}, fault.New(fault.Internal, "make a request for %s: %w", path, err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := t.HTTP.Do(req)
	if err != nil {
		return answer{}, audit.Unreachable(method, t.URL(path), err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, bodyLimit))
	if err != nil {
		return answer{}, audit.Unreachable(method, t.URL(path), err)
	}
	return answer{res.StatusCode, res.Header, raw}, nil
}
