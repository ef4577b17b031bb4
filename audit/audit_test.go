package audit_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

func TestConclude(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		findings []audit.Finding
		want     audit.Verdict
		err      error
	}{
		"nothing":   {nil, audit.Pass, nil},
		"a warning": {[]audit.Finding{{Severity: audit.Warning}}, audit.Pass, nil},
		"an error":  {[]audit.Finding{{Severity: audit.Note}, {Severity: audit.Error}}, audit.Fail, fault.Finding},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := audit.Conclude("s", tt.findings, nil)
			if r.Verdict != tt.want || r.Findings == nil || !errors.Is(r.Verdict.Err(), tt.err) {
				t.Errorf("got %+v, %v", r, r.Verdict.Err())
			}
		})
	}
	if got := audit.Worst(audit.Pass, audit.Inconclusive, audit.Pass); got != audit.Inconclusive || !errors.Is(got.Err(), fault.Inconclusive) {
		t.Errorf("got %s", got)
	}
	if got := audit.Worst(audit.Inconclusive, audit.Fail); got != audit.Fail {
		t.Errorf("got %s", got)
	}
}

func TestUnreachableSaysItOnce(t *testing.T) {
	t.Parallel()
	err := audit.Unreachable("GET", "https://a.test/x", &url.Error{Op: "Get", URL: "https://a.test/x", Err: os.ErrDeadlineExceeded})
	if strings.Count(err.Error(), "a.test") != 1 || !errors.Is(err, fault.Unavailable) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

const (
	jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJndWVzdCJ9.c2lnbmF0dXJlLXRoYXQtaXMtdmFsaWQ"
	pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END PRIVATE KEY-----"
)

func TestScrub(t *testing.T) {
	t.Parallel()
	evidence, err := json.Marshal(map[string]any{
		"token": jwt, "key": pem, "auth": "Bearer abcdefghijklmnopqrstuvwxyz",
		"headers": map[string]any{"X-Admin-Key": "hunter2-hunter2", "Set-Cookie": []string{"cog=1"}, "Vary": "Origin"},
	})
	if err != nil {
		t.Fatal(err)
	}
	scrubbed := audit.Scrub(evidence)
	for _, secret := range []string{"c2lnbmF0dXJl", "MIIEvQ", "abcdefghijklmnopqrstuvwxyz", "hunter2", "cog=1"} {
		if strings.Contains(string(scrubbed), secret) {
			t.Errorf("%s is left in %s", secret, scrubbed)
		}
	}
	if !json.Valid(scrubbed) || !strings.Contains(string(scrubbed), "Origin") || string(audit.Scrub(scrubbed)) != string(scrubbed) {
		t.Errorf("got %s", scrubbed)
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	local := &audit.Target{Hostname: "api.a.localhost", BaseURL: &url.URL{Scheme: "https", Host: "api.a.localhost:8443"}}
	behind := &audit.Target{Hostname: "api.a.test", BaseURL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}
	if local.PublicURL("/x") != "https://api.a.localhost:8443/x" || behind.PublicURL("/x") != "https://api.a.test/x" {
		t.Errorf("got %s and %s", local.PublicURL("/x"), behind.PublicURL("/x"))
	}
}
