package jwks_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/audittest"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

const issuer = "https://api.example.test"

func now() time.Time { return time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC) }

// keys are made once: RSA keys are slow to find, and no test changes them.
var keys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var made [2]*rsa.PrivateKey
	for i := range made {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		made[i] = k
	}
	return made
})

// platform publishes a key set and hands out guest tokens; a fault changes either.
type platform struct {
	set    []jose.JSONWebKey
	cache  string
	jwks   string // instead of the set
	status int    // of the guest's answer
	alg    jose.SignatureAlgorithm
	key    any
	kid    string
	claims map[string]any
	forged string // instead of a signed token

	turnstile bool   // guests have to pass it
	admin     string // the key that mints tokens of users; none is known when empty
}

func healthy() *platform {
	k := keys()[0]
	return &platform{
		set: []jose.JSONWebKey{{Key: &k.PublicKey, KeyID: "k1", Algorithm: "RS256", Use: "sig"}}, cache: "public, max-age=300", status: http.StatusOK,
		alg: jose.RS256, key: k, kid: "k1",
		claims: map[string]any{
			"iss": issuer, "sub": "guest:0b6a3b6e-52f4-4a5b-9d7a-1f2e3d4c5b6a", "role": "guest", "iat": now().Unix(), "exp": now().Add(time.Hour).Unix(),
		},
	}
}

func (p *platform) token(t testing.TB) string {
	t.Helper()
	if p.forged != "" {
		return p.forged
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: p.alg, Key: jose.JSONWebKey{Key: p.key, KeyID: p.kid}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(p.claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (p *platform) target(t testing.TB) *audit.Target {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", p.cache)
		if p.jwks != "" {
			_, _ = w.Write([]byte(p.jwks))
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: p.set})
	})
	mux.HandleFunc("POST /auth/guest", func(w http.ResponseWriter, _ *http.Request) {
		if p.turnstile {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"turnstile_required"}`))
			return
		}
		w.WriteHeader(p.status)
		_ = json.NewEncoder(w).Encode(map[string]any{"token": p.token(t), "exp": 1})
	})
	mux.HandleFunc("POST /auth/token", func(w http.ResponseWriter, r *http.Request) {
		if p.admin == "" || r.Header.Get("X-Admin-Key") != p.admin {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"token": p.token(t), "exp": 1})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	target := &audit.Target{Env: "test", Hostname: "api.example.test", Issuer: issuer, BaseURL: base, HTTP: server.Client(), Contract: c, Now: now}
	if p.admin != "" {
		target.AdminKey = func() (string, error) { return p.admin, nil }
	}
	return target
}

// Where guests have to pass Turnstile, which no program can, a user's token is verified instead, by whoever has the admin key.
func TestWhereGuestsPassTurnstileAUsersTokenIsVerified(t *testing.T) {
	t.Parallel()
	p := healthy()
	p.turnstile = true
	p.claims["sub"], p.claims["email"], p.claims["role"] = "cogctl@api.example.test", "cogctl@api.example.test", "user"
	refused, err := jwks.Check().Run(t.Context(), p.target(t))
	if err != nil || refused.Verdict != audit.Fail || len(refused.Findings) != 1 || !strings.Contains(refused.Findings[0].Hint, "COGCTL_ADMIN_KEY") {
		t.Errorf("without the admin key: %+v (%v)", refused, err)
	}
	p.admin = "the operator's"
	target := p.target(t)
	result, err := jwks.Check().Run(t.Context(), target)
	if err != nil || result.Verdict != audit.Pass || !strings.Contains(result.Summary, "guests have to pass Turnstile") {
		t.Fatalf("with it: %+v (%v)", result, err)
	}
	raw, err := json.Marshal(result.Evidence)
	if err != nil || strings.Contains(string(raw), p.admin) {
		t.Fatalf("the evidence is %s (%v)", raw, err)
	}
	again, err := jwks.Check().Judge(target, raw)
	if err != nil || again.Verdict != audit.Pass {
		t.Errorf("judged again: %+v (%v)", again, err)
	}
	p.kid = "another"
	if result, err := jwks.Check().Run(t.Context(), p.target(t)); err != nil || result.Verdict != audit.Fail {
		t.Errorf("a token of a key that is not published: %+v (%v)", result, err)
	}
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	target := healthy().target(t)
	r, err := jwks.Check().Run(t.Context(), target)
	if err != nil || r.Verdict != audit.Pass || len(r.Findings) != 0 {
		t.Fatalf("%v %+v", err, r)
	}
	audittest.Rejudge(t, jwks.Check(), target, r)
	raw, err := json.Marshal(r.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), healthy().token(t)[:40]) {
		t.Error("the evidence holds the token")
	}
}

func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	other := keys()[1]
	tests := map[string]struct {
		plant func(p *platform)
		code  string
		path  string
	}{
		"the kid is not published":  {func(p *platform) { p.set[0].KeyID = "k2" }, "token_kid_unknown", "/auth/guest"},
		"another key by that name":  {func(p *platform) { p.set[0].Key = &other.PublicKey }, "token_signature", "/auth/guest"},
		"wrong issuer":              {func(p *platform) { p.claims["iss"] = "https://other.test" }, "token_issuer", "/auth/guest"},
		"no issuer":                 {func(p *platform) { delete(p.claims, "iss") }, "token_issuer", "/auth/guest"},
		"expired":                   {func(p *platform) { p.claims["exp"] = now().Add(-2 * time.Minute).Unix() }, "token_expired", "/auth/guest"},
		"never expires":             {func(p *platform) { delete(p.claims, "exp") }, "token_exp", "/auth/guest"},
		"lives too long":            {func(p *platform) { p.claims["exp"] = now().Add(2 * time.Hour).Unix() }, "token_life", "/auth/guest"},
		"not yet valid":             {func(p *platform) { p.claims["nbf"] = now().Add(10 * time.Minute).Unix() }, "token_early", "/auth/guest"},
		"alg none":                  {func(p *platform) { p.forged = unsigned(p.claims) }, "token_alg", "/auth/guest"},
		"HS256 with the public key": {func(p *platform) { p.alg, p.key = jose.HS256, publicPEM(p) }, "token_alg", "/auth/guest"},
		"a guest with an email":     {func(p *platform) { p.claims["email"] = "a@example.test" }, "guest_claims", "/auth/guest"},
		"a guest that is an admin":  {func(p *platform) { p.claims["role"] = "admin" }, "guest_claims", "/auth/guest"},
		"guests are refused":        {func(p *platform) { p.status = http.StatusInternalServerError }, "guest_refused", "/auth/guest"},
		"no keys":                   {func(p *platform) { p.set = []jose.JSONWebKey{} }, "jwks_empty", jwks.Path},
		"not a key set":             {func(p *platform) { p.jwks = "<html>" }, "jwks_missing", jwks.Path},
		"keys is no array":          {func(p *platform) { p.jwks = `{"keys":null}` }, "jwks_missing", jwks.Path},
		"one name twice":            {func(p *platform) { p.set = append(p.set, p.set[0]) }, "jwks_kid", jwks.Path},
		"the private key":           {func(p *platform) { p.set[0].Key = keys()[0] }, "jwks_private", jwks.Path},
		"another algorithm":         {func(p *platform) { p.set[0].Algorithm = "RS512" }, "jwks_alg", jwks.Path},
		"cached without a bound":    {func(p *platform) { p.cache = "" }, "jwks_cache", jwks.Path},
		"a short key":               {shortKey, "jwks_weak", jwks.Path},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := healthy()
			tt.plant(p)
			target := p.target(t)
			r, err := jwks.Check().Run(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			audittest.Rejudge(t, jwks.Check(), target, r)
			i := slices.IndexFunc(r.Findings, func(f audit.Finding) bool { return f.Code == tt.code })
			if i < 0 || r.Verdict != audit.Fail {
				t.Fatalf("no %s among %+v", tt.code, r.Findings)
			}
			if r.Findings[i].URL != issuer+tt.path {
				t.Errorf("names %s", r.Findings[i].URL)
			}
		})
	}
}

// shortKey publishes a 1024-bit modulus, which Go refuses to make a key of.
func shortKey(p *platform) {
	n := make([]byte, 128)
	_, _ = rand.Read(n)
	n[0] |= 0x80
	p.jwks = `{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"k1","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(n) + `"}]}`
}

func unsigned(claims map[string]any) string {
	raw, _ := json.Marshal(claims)
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"k1"}`)) + "." + base64.RawURLEncoding.EncodeToString(raw) + "."
}

func publicPEM(p *platform) []byte {
	der, _ := x509.MarshalPKIXPublicKey(p.set[0].Key)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestNoAnswerIsNotAVerdict(t *testing.T) {
	t.Parallel()
	target := healthy().target(t)
	target.BaseURL = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	_, err := jwks.Check().Run(t.Context(), target)
	if !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

// The example of RFC 7638, section 3.1.
func TestThumbprintOfTheRFC(t *testing.T) {
	t.Parallel()
	p := healthy()
	p.jwks = `{"keys":[{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}]}`
	s, err := jwks.Fetch(t.Context(), p.target(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Keys[0].Thumbprint; got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("thumbprint %s", got)
	}
}

func FuzzInspect(f *testing.F) {
	c, err := contract.Load()
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "..", "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.eyJleHAiOjFlOTl9.AA"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, _, err := jwks.Inspect(text, &jwks.Set{}, jwks.Rules{Auth: c.Auth, Issuer: issuer, Now: now()})
		if err == nil && token.Verified {
			t.Errorf("%q is verified by no key", text)
		}
	})
}
