package jwks_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/internal/fault"
)

// seen is the evidence of a healthy platform, and the target it is of.
func seen(t *testing.T) (jwks.Evidence, *audit.Target) {
	t.Helper()
	target := healthy().target(t)
	r, err := jwks.Check().Run(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	return r.Evidence.(jwks.Evidence), target
}

func TestChangedEvidenceIsFoundOut(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(e *jwks.Evidence)
		code   string // of the finding; none: the evidence is refused
	}{
		"other claims": {func(e *jwks.Evidence) { e.Token.Claims = strings.Replace(e.Token.Claims, "guest:0", "guest:1", 1) }, "token_signature"},
		"another header": {func(e *jwks.Evidence) {
			e.Token.Header = strings.Replace(e.Token.Header, `"typ":"JWT"`, `"typ":"jwt"`, 1)
		}, "token_signature"},
		"no signature":     {func(e *jwks.Evidence) { e.Token.Signed = nil }, "token_signature"},
		"no key":           {func(e *jwks.Evidence) { e.JWKS.Body = `{"keys":[]}` }, "jwks_empty"},
		"another status":   {func(e *jwks.Evidence) { e.JWKS.Status = 500 }, "jwks_missing"},
		"a refusal":        {func(e *jwks.Evidence) { e.Guest.Status = 500 }, "guest_refused"},
		"not now":          {func(e *jwks.Evidence) { e.Guest.Status = 429 }, ""},
		"no token at all":  {func(e *jwks.Evidence) { e.Token.Header = "{" }, ""},
		"no token":         {func(e *jwks.Evidence) { e.Token = nil }, ""},
		"no answer":        {func(e *jwks.Evidence) { e.Guest, e.Token = nil, nil }, ""},
		"from nowhere":     {func(e *jwks.Evidence) { e.Guest = nil }, ""},
		"another hostname": {func(e *jwks.Evidence) { e.JWKS.URL = "https://www.example.test" + jwks.Path }, ""},
		"another path":     {func(e *jwks.Evidence) { e.Guest.URL += "s" }, ""},
		"another hour":     {func(e *jwks.Evidence) { e.At = e.At.Add(-3600e9) }, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, target := seen(t)
			tt.change(&e)
			raw, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			r, err := jwks.Check().Judge(target, raw)
			if tt.code == "" {
				if !errors.Is(err, fault.Denied) {
					t.Errorf("got %v, %s", err, r.Verdict)
				}
				return
			}
			if err != nil || r.Verdict != audit.Fail || r.Findings[0].Code != tt.code {
				t.Errorf("%v, %s %+v", err, r.Verdict, r.Findings)
			}
		})
	}
}

// TestNoCredentialIsKept looks for the token's signature, however its JSON spelt it, and for private members of published keys.
func TestNoCredentialIsKept(t *testing.T) {
	t.Parallel()
	p := healthy()
	text := p.token(t)
	signature := text[strings.LastIndex(text, ".")+1:]
	for name, body := range map[string]string{
		"plain": `{"token":"` + text + `"}`, "escaped": `{"token":"\u0065` + text[1:len(text)-1] + `\u00` + hex(text[len(text)-1]) + `"}`,
		"twice": `{"token":"` + text + `","access_token":"` + text + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := healthy()
			target := p.target(t)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/auth/guest" {
					_, _ = w.Write([]byte(body))
					return
				}
				http.Redirect(w, r, target.URL(r.URL.Path), http.StatusTemporaryRedirect)
			}))
			t.Cleanup(front.Close)
			base, err := url.Parse(front.URL)
			if err != nil {
				t.Fatal(err)
			}
			other := *target
			other.BaseURL = base
			r, err := jwks.Check().Run(t.Context(), &other)
			if err != nil || r.Verdict != audit.Pass {
				t.Fatalf("%v %+v", err, r.Findings)
			}
			if raw, _ := json.Marshal(r.Evidence); strings.Contains(string(raw), signature[:40]) {
				t.Errorf("the evidence holds a usable token: %s", raw)
			}
		})
	}
	p.set[0].Key = keys()[0]
	r, err := jwks.Check().Run(t.Context(), p.target(t))
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := json.Marshal(r.Evidence); strings.Contains(string(raw), base64.RawURLEncoding.EncodeToString(keys()[0].D.Bytes())[:20]) || !strings.Contains(string(raw), "scrubbed") {
		t.Errorf("the evidence holds a private key: %s", raw)
	}
}

func hex(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte(`{"at":"2026-11-22T18:00:00Z","jwks":{"url":"https://api.example.test/.well-known/jwks.json","status":200,"cache_control":"","body":"{\"keys\":[]}"}}`))
	f.Add([]byte(`null`))
	target := healthy().target(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := jwks.Check().Judge(target, raw)
		if err == nil && r.Verdict == audit.Pass {
			t.Errorf("passes without a signature: %q", raw)
		}
	})
}
