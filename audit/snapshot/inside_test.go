package snapshot_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/snapshot"
)

// saying lets the bed's Workers tell what answer holds, to whoever has the admin key.
func saying(t *testing.T, target *audit.Target, answer string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/admin/env-snapshot" || r.Header.Get("X-Admin-Key") != plantedSecret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	target.BaseURL, target.HTTP, target.AdminKey = base, server.Client(), func() (string, error) { return plantedSecret, nil }
}

func TestWhatWorkersSeeIsHeldAgainstTheAPI(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	const agreeing = `"vars":{"ISSUER":"https://api.cognomega.localhost"},"secrets":{"KID":true,"TURNSTILE_SECRET":false},"bindings":{"KEYS":true}`
	for name, tt := range map[string]struct {
		says string
		want []string
	}{
		"agreement": {`{"workers":{"auth-svc":{` + agreeing + `}},"silent":[]}`, nil},
		"a variable": {`{"workers":{"auth-svc":{"vars":{"ISSUER":"https://elsewhere.test"}}}}`,
			[]string{"b inside.auth-svc.vars.ISSUER: https://api.cognomega.localhost, https://elsewhere.test"}},
		"a secret that is not seen": {`{"workers":{"auth-svc":{"secrets":{"KID":false}}}}`, []string{"b inside.auth-svc.secrets.KID: true, false"}},
		"a secret that is not set":  {`{"workers":{"auth-svc":{"secrets":{"TURNSTILE_SECRET":true}}}}`, []string{"b inside.auth-svc.secrets.TURNSTILE_SECRET: false, true"}},
		"a binding":                 {`{"workers":{"auth-svc":{"bindings":{"KEYS":false}}}}`, []string{"b inside.auth-svc.bindings.KEYS: true, false"}},
		"a Worker that is silent":   {`{"workers":{},"silent":["auth-svc"]}`, []string{"b inside.auth-svc: deployed, silent"}},
		"a Worker nobody deployed":  {`{"workers":{"ghost":{}}}`, []string{"b inside.ghost: missing, answers"}},
	} {
		target := b.target()
		saying(t, target, tt.says)
		s, err := snapshot.Collect(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		d := snapshot.Diff(b.declared(), s, nil)
		if d.Disagree == nil {
			t.Error("a program reads a list, not null")
		}
		var got []string
		for _, g := range d.Disagree {
			got = append(got, g.Side+" "+g.Path+": "+spoken(g.Outside)+", "+spoken(g.Inside))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || (d.Verdict == audit.Pass) != (tt.want == nil) {
			t.Errorf("%s: %s %s", name, d.Verdict, diff)
		}
		if accepted, err := snapshot.Accept([]string{"inside"}); err != nil || snapshot.Diff(b.declared(), s, accepted).Verdict != audit.Pass {
			t.Errorf("%s: not accepted: %v", name, err)
		}
	}
}

func TestASnapshotGoesOnWithoutTheInside(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	for name, tt := range map[string]struct {
		change func(*audit.Target)
		why    string
	}{
		"no key":        {func(target *audit.Target) { target.AdminKey = nil }, "no admin key"},
		"another key":   {func(target *audit.Target) { target.AdminKey = func() (string, error) { return "another", nil } }, "answers 401"},
		"nobody there":  {func(target *audit.Target) { target.BaseURL = &url.URL{Scheme: "http", Host: "127.0.0.1:1"} }, "does not answer"},
		"other answers": {func(target *audit.Target) { saying(t, target, `<html>`) }, "not of the documented shape"},
	} {
		target := b.target()
		saying(t, target, `{"workers":{}}`)
		tt.change(target)
		s, err := snapshot.Collect(t.Context(), target)
		if err != nil || s.Inside.Asked || !strings.Contains(s.Inside.Why, tt.why) {
			t.Fatalf("%s: %v %+v", name, err, s)
		}
		if d := snapshot.Diff(b.declared(), s, nil); d.Verdict != audit.Pass {
			t.Errorf("%s: %s", name, d.Verdict)
		}
	}
}

// TestTheInsideIsScrubbedAndSealed: a credential in a plain variable is not kept, and what Workers said is under the digest.
func TestTheInsideIsScrubbedAndSealed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	target := b.target()
	saying(t, target, `{"workers":{"auth-svc":{"vars":{"API_KEY":"`+plantedPassword+`","URL":"postgres://u:`+plantedPassword+`@h/d"}}}}`)
	s, err := snapshot.Collect(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.Encode()
	if err != nil || strings.Contains(string(raw), plantedPassword) || strings.Contains(string(raw), plantedSecret) {
		t.Fatalf("a credential is in %s", raw)
	}
	if _, err := snapshot.Parse(raw); err != nil {
		t.Error(err)
	}
	if _, err := snapshot.Parse([]byte(strings.Replace(string(raw), `"asked": true`, `"asked": false`, 1))); err == nil {
		t.Error("a change of what Workers said was not seen")
	}
}

func spoken(v any) string {
	if said, ok := v.(string); ok {
		return said
	}
	if v == true {
		return "true"
	}
	return "false"
}
