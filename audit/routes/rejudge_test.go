package routes_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/audittest"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

func (b *bed) target() *audit.Target {
	b.t.Helper()
	c, err := contract.Load()
	if err != nil {
		b.t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	return &audit.Target{Env: "test", Hostname: host, ZoneName: "example.test", AccountID: account, API: b.api, Contract: c, Now: func() time.Time { return at }}
}

func TestTheEvidenceGivesTheSameVerdict(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		plant func(b *bed)
		want  audit.Verdict
	}{
		"one owner":     {func(b *bed) { b.dropRoutes(); b.upload("cognomega-api"); b.route(host+"/*", "cognomega-api") }, audit.Pass},
		"another owner": {func(*bed) {}, audit.Fail},
		"a shadow": {func(b *bed) {
			b.upload("cognomega-api")
			b.dropRoutes()
			b.route(host+"/*", "cognomega-api")
			b.route(host+"/api/voice/*", "voice")
			b.redirect(`http.host eq "` + host + `"`)
			b.pages("front", host)
		}, audit.Fail},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			tt.plant(b)
			target := b.target()
			r, err := routes.Check().Run(t.Context(), target)
			if err != nil || r.Verdict != tt.want {
				t.Fatalf("%v %+v", err, r)
			}
			audittest.Rejudge(t, routes.Check(), target, r)
		})
	}
}

func TestEvidenceThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	target := b.target()
	r, err := routes.Check().Run(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(r.Evidence)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(evidence string, t *audit.Target) string
		says   string
	}{
		"another host":    {func(e string, t *audit.Target) string { t.Hostname = "www.example.test"; return e }, "it is a capture of " + host},
		"another account": {func(e string, t *audit.Target) string { t.AccountID = "other"; return e }, "of account " + account},
		"another day": {func(e string, t *audit.Target) string {
			t.Now = func() time.Time { return time.Now().Add(24 * time.Hour) }
			return e
		}, "it was seen at"},
		"a Worker unsaid": {func(e string, _ *audit.Target) string {
			return strings.Replace(e, `"name":"auth-svc"`, `"name":"other"`, 1)
		}, "nothing of Worker auth-svc"},
		"a member too many": {func(e string, _ *audit.Target) string { return `{"x":1,` + e[1:] }, "cannot be read"},
		"a member twice":    {func(e string, _ *audit.Target) string { return strings.Replace(e, `"host":`, `"host":"a","host":`, 1) }, "not in the form"},
		"another spelling":  {func(e string, _ *audit.Target) string { return strings.Replace(e, `"capture"`, `"Capture"`, 1) }, "not in the form"},
		"two documents":     {func(e string, _ *audit.Target) string { return e + "{}" }, "something follows"},
		"nothing":           {func(string, *audit.Target) string { return "{}" }, "not in the form"},
		"null":              {func(string, *audit.Target) string { return "null" }, "not in the form"},
		"no capture": {func(string, *audit.Target) string {
			return `{"capture":null,"judgement":{"host":"","zone":"","owner":"","route_id":"","regions":0,"findings":null}}`
		}, "no capture of schema"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blind := *target
			_, err := routes.Check().Judge(&blind, []byte(tt.change(string(raw), &blind)))
			if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}
