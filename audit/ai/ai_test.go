package ai_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/ai"
	"github.com/cognomega/edge/audit/audittest"
)

func TestBinding(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		body   string
		want   audit.Verdict
	}{
		"bound":               {200, `{"ai_bound": true}`, audit.Pass},
		"unbound":             {500, `{"ai_bound":false}`, audit.Fail},
		"false with 200":      {200, `{"ai_bound":false}`, audit.Fail},
		"true with 500":       {500, `{"ai_bound":true}`, audit.Fail},
		"a text":              {200, `{"ai_bound":"true"}`, audit.Fail},
		"more than it should": {200, `{"ai_bound":true,"key":"x"}`, audit.Fail},
		"another site":        {200, `<html>`, audit.Fail},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			t.Cleanup(server.Close)
			base, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			target := &audit.Target{Hostname: "api.example.test", BaseURL: base, HTTP: server.Client()}
			r, err := ai.Check().Run(t.Context(), target)
			if err != nil || r.Verdict != tt.want {
				t.Fatalf("%v %+v", err, r)
			}
			audittest.Rejudge(t, ai.Check(), target, r)
			if r.Verdict == audit.Fail && r.Findings[0].URL != "https://api.example.test/api/ai/binding" {
				t.Errorf("names %s", r.Findings[0].URL)
			}
		})
	}
}
