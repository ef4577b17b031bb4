package snapshot_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/cfapi"
)

// TestWhatIsOneThing compares two contents of one environment.
func TestWhatIsOneThing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		was, is string
		want    []string
	}{
		"another name and nothing else": {`{"routes":{"a/*":{"id":"1","worker":"x"}}}`, `{"routes":{"b/*":{"id":"1","worker":"x"}}}`, []string{"renamed routes: a/*, b/*"}},
		"another name and another Worker": {
			`{"routes":{"a/*":{"id":"1","worker":"x"}}}`, `{"routes":{"b/*":{"id":"1","worker":"y"}}}`, []string{`removed routes["a/*"]`, `added routes["b/*"]`},
		},
		"two that are alike and have no id": {`{"r2_buckets":{"a":{"lifecycle":{}}}}`, `{"r2_buckets":{"b":{"lifecycle":{}}}}`, []string{"removed r2_buckets.a", "added r2_buckets.b"}},
		"deleted and made again":            {`{"kv_namespaces":{"a":{"id":"1"}}}`, `{"kv_namespaces":{"a":{"id":"2"}}}`, []string{"changed kv_namespaces.a.id: 1, 2"}},
		"bound to the same, which has another name": {
			`{"workers":{"w":{"bindings":{"K":{"type":"kv_namespace","namespace":"a","namespace_id":"1"}}}}}`,
			`{"workers":{"w":{"bindings":{"K":{"type":"kv_namespace","namespace":"b","namespace_id":"1"}}}}}`, nil,
		},
		"sets have no order": {`{"workers":{"w":{"crons":["a","b"]}}}`, `{"workers":{"w":{"crons":["b","a"]}}}`, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := snapshot.OfContent([]byte(tt.was), "x", "")
			if err != nil {
				t.Fatal(err)
			}
			b, err := snapshot.OfContent([]byte(tt.is), "x", "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, lines(snapshot.Diff(a, b, nil).Changes)); diff != "" {
				t.Error(diff)
			}
			mirrored(t, a, b)
		})
	}
}

// A name that people chose is never taken for a field that the contract leaves open.
func TestNamesAreNotFields(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.account("POST", "/r2/buckets", object{"name": "location"})
	b.account("POST", "/storage/kv/namespaces", object{"title": "id"})
	b.upload("number", nil)
	b.upload("auth-svc", func(u *cfapi.ScriptUpload) { u.Bindings = append(u.Bindings, text("etag", "1"), text("api_id", "2")) })
	want := []string{
		"added kv_namespaces.id", "added r2_buckets.location", "added workers.auth-svc.bindings.api_id", "added workers.auth-svc.bindings.etag", "added workers.number",
	}
	if diff := cmp.Diff(want, lines(snapshot.Diff(b.declared(), b.collect(), nil).Changes)); diff != "" {
		t.Error(diff)
	}
}

// What Cloudflare measures, and what it says that is so anyway, is no setting.
func TestWhatMeansTheSame(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.settings("auth-svc", object{
		"placement": object{"status": "SUCCESS", "last_analyzed_at": "2026-11-22T18:40:11Z"}, "limits": object{}, "tags": []string{"cf:service=auth-svc"},
		"observability": object{
			"enabled": true, "head_sampling_rate": 1, "logs": object{"enabled": true, "head_sampling_rate": 1, "persist": true, "invocation_logs": true},
			"traces": object{"enabled": false, "head_sampling_rate": 0.5},
		},
	})
	if got := lines(snapshot.Diff(b.declared(), b.collect(), nil).Changes); len(got) != 0 {
		t.Errorf("%q", got)
	}
	b.settings("auth-svc", object{"observability": object{"enabled": true, "logs": object{"enabled": true, "invocation_logs": false}}})
	want := []string{"changed workers.auth-svc.observability.logs.invocation_logs: true, false"}
	if diff := cmp.Diff(want, lines(snapshot.Diff(b.declared(), b.collect(), nil).Changes)); diff != "" {
		t.Error(diff)
	}
}
