package oidc_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/oidc"
	"github.com/cognomega/edge/internal/oidc/oidctest"
)

func run() map[string]any {
	return map[string]any{"sub": "repo:o/r:environment:production", "repository": "o/r", "ref": "refs/heads/main", "sha": "abc", "environment": "production"}
}

func provider(i *oidctest.Issuer) oidc.Provider {
	return oidc.Provider{RequestURL: i.RequestURL(), RequestToken: oidctest.RequestToken, HTTP: i.Client()}
}

func verifier(i *oidctest.Issuer) oidc.Verifier {
	return oidc.Verifier{Issuer: "https://" + oidctest.Host, Audience: "cogctl", HTTP: i.Client(), Now: time.Now}
}

func TestATokenThatTheIssuerSignedIsBelieved(t *testing.T) {
	t.Parallel()
	i := oidctest.New(t, run())
	raw, err := provider(i).Token(t.Context(), "cogctl")
	if err != nil {
		t.Fatal(err)
	}
	claims, err := verifier(i).Verify(t.Context(), raw)
	if err != nil || claims.Repository != "o/r" || claims.Ref != "refs/heads/main" || claims.SHA != "abc" || claims.Environment != "production" {
		t.Errorf("%+v, %v", claims, err)
	}
}

func TestEveryLieIsRefused(t *testing.T) {
	t.Parallel()
	hour := time.Hour
	for name, lie := range map[string]struct {
		tell func(*oidctest.Issuer)
		says string
	}{
		"signed by another key":      {func(i *oidctest.Issuer) { i.Forge(true) }, "does not verify"},
		"of another issuer":          {func(i *oidctest.Issuer) { i.Say("iss", "https://elsewhere.test") }, "issued by"},
		"for another audience":       {func(i *oidctest.Issuer) { i.Say("aud", "sts.amazonaws.com") }, "is for"},
		"for two audiences":          {func(i *oidctest.Issuer) { i.Say("aud", []string{"cogctl", "other"}) }, "is for"},
		"expired":                    {func(i *oidctest.Issuer) { i.Say("exp", time.Now().Add(-2*time.Minute).Unix()) }, "has expired"},
		"not valid yet":              {func(i *oidctest.Issuer) { i.Say("nbf", time.Now().Add(hour).Unix()) }, "not valid yet"},
		"issued in the future":       {func(i *oidctest.Issuer) { i.Say("iat", time.Now().Add(hour).Unix()) }, "not valid yet"},
		"without an end":             {func(i *oidctest.Issuer) { i.Say("exp", nil) }, "from when to when"},
		"without a beginning":        {func(i *oidctest.Issuer) { i.Say("iat", nil) }, "from when to when"},
		"a claim of the wrong shape": {func(i *oidctest.Issuer) { i.Say("repository", []string{"o/r"}) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := oidctest.New(t, run())
			lie.tell(i)
			_, err := verifier(i).Verify(t.Context(), i.Sign(t, "cogctl"))
			if !errors.Is(err, fault.Refused) || !strings.Contains(err.Error(), lie.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAnyFlippedBitOfATokenIsRefused(t *testing.T) {
	t.Parallel()
	i := oidctest.New(t, run())
	raw := i.Sign(t, "cogctl")
	parts := strings.Split(raw, ".")
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	for at := range body {
		changed := append([]byte{}, body...)
		changed[at] ^= 1
		if _, err := verifier(i).Verify(t.Context(), parts[0]+"."+base64.RawURLEncoding.EncodeToString(changed)+"."+parts[2]); !errors.Is(err, fault.Refused) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"k1"}`))
	for _, forged := range []string{none + "." + parts[1] + ".", "", "x", parts[0] + "." + parts[1]} {
		if _, err := verifier(i).Verify(t.Context(), forged); !errors.Is(err, fault.Refused) {
			t.Errorf("%.20q: %v", forged, err)
		}
	}
}

func TestKeysThatCannotBeFetchedConcludeNothing(t *testing.T) {
	t.Parallel()
	i := oidctest.New(t, run())
	raw := i.Sign(t, "cogctl")
	for name, handler := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"not JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.test/", http.StatusFound)
		},
		"another issuer's keys": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"https://` + oidctest.Host + `","jwks_uri":"https://elsewhere.test/jwks"}`))
		},
	} {
		server := httptest.NewTLSServer(handler)
		t.Cleanup(server.Close)
		v := verifier(i)
		v.HTTP = &http.Client{Transport: redirecting{server}}
		_, err := v.Verify(t.Context(), raw)
		if want := map[bool]fault.Kind{true: fault.Refused, false: fault.Unavailable}[name == "another issuer's keys"]; !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// redirecting sends every request to one server.
type redirecting struct{ to *httptest.Server }

func (r redirecting) RoundTrip(req *http.Request) (*http.Response, error) {
	to := req.Clone(req.Context())
	to.URL.Host = r.to.Listener.Addr().String()
	return r.to.Client().Transport.RoundTrip(to)
}

func TestWithoutAProviderNothingIsAsked(t *testing.T) {
	t.Parallel()
	i := oidctest.New(t, run())
	for name, p := range map[string]oidc.Provider{
		"no address": {RequestToken: oidctest.RequestToken, HTTP: i.Client()},
		"no token":   {RequestURL: i.RequestURL(), HTTP: i.Client()},
		"in clear":   {RequestURL: "http://" + oidctest.Host + "/token", RequestToken: oidctest.RequestToken, HTTP: i.Client()},
	} {
		if _, err := p.Token(t.Context(), "cogctl"); !errors.Is(err, fault.Refused) || strings.Contains(err.Error(), oidctest.RequestToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := provider(i)
	wrong.RequestToken = "another"
	if _, err := wrong.Token(t.Context(), "cogctl"); !errors.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "another") {
		t.Errorf("%v", err)
	}
	if i.Asked() != 0 {
		t.Errorf("%d tokens were given", i.Asked())
	}
}

func FuzzVerify(f *testing.F) {
	i := oidctest.New(f, run())
	f.Add(i.Sign(f, "cogctl")[1:])
	f.Add("a.b.c")
	v := verifier(i)
	f.Fuzz(func(t *testing.T, raw string) {
		if claims, err := v.Verify(t.Context(), raw); err == nil {
			t.Errorf("%q is believed: %+v", raw, claims)
		}
	})
}
