package provider_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

func bucketRules(edits ...func(object)) property.Map {
	in := object{"bucketName": "uploads", "rules": []any{
		object{"id": "tmp", "prefix": "tmp/", "expireDays": 3},
		object{"id": "logs", "prefix": "logs/", "infrequentDays": 60, "expireDays": 120},
		object{"id": "multipart", "abortMultipartDays": 2},
	}}
	for _, edit := range edits {
		edit(in)
	}
	return props(in)
}

func withBucket(t *testing.T) *engine {
	t.Helper()
	c := newCloud(t)
	c.buckets["uploads"] = defaultRules()
	return newEngine(t, c, "R2BucketLifecycle")
}

func ids(rules []any) []string {
	out := []string{}
	for _, r := range rules {
		out = append(out, r.(object)["id"].(string))
	}
	return out
}

func TestLifecycleIsWrittenOnceInSeconds(t *testing.T) {
	t.Parallel()
	e, in := withBucket(t), bucketRules()
	e.mustUp(in)
	logs := e.cloud.buckets["uploads"][1].(object)
	want := object{
		"id": "logs", "enabled": true, "conditions": object{"prefix": "logs/"},
		"deleteObjectsTransition": object{"condition": object{"type": "Age", "maxAge": 10368000.0}},
		"storageClassTransitions": []any{object{"condition": object{"type": "Age", "maxAge": 5184000.0}, "storageClass": "InfrequentAccess"}},
	}
	if diff := cmp.Diff(want, logs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	e.refresh()
	if changed := e.mustUp(in); changed != nil {
		t.Errorf("again: %v", changed)
	}
	if err := e.destroy(); err != nil || !cmp.Equal(ids(e.cloud.buckets["uploads"]), ids(defaultRules())) {
		t.Errorf("after the delete: %v, %v", ids(e.cloud.buckets["uploads"]), err)
	}
}

func TestDefaultAbortRule(t *testing.T) {
	t.Parallel()
	keep := func(o object) { o["keepDefaultAbort"] = true }
	onlyTmp := func(o object) { o["rules"] = o["rules"].([]any)[:1] }
	tests := map[string]struct {
		in   property.Map
		want []string
	}{
		"dropped":                          {bucketRules(onlyTmp), []string{"tmp"}},
		"kept":                             {bucketRules(onlyTmp, keep), []string{"tmp", "Default Multipart Abort Rule"}},
		"replaced by a rule of the bucket": {bucketRules(keep), []string{"tmp", "logs", "multipart"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := withBucket(t)
			e.mustUp(tt.in)
			if diff := cmp.Diff(tt.want, ids(e.cloud.buckets["uploads"])); diff != "" {
				t.Fatalf("rules (-want +got):\n%s", diff)
			}
			e.refresh()
			if changed := e.mustUp(tt.in); changed != nil {
				t.Errorf("again: %v", changed)
			}
		})
	}
}

func TestDriftOfALifecycle(t *testing.T) {
	t.Parallel()
	rule := func(i int, edit func(object)) func(*cloud) {
		return func(c *cloud) { edit(c.buckets["uploads"][i].(object)) }
	}
	age := func(seconds float64) object { return object{"condition": object{"type": "Age", "maxAge": seconds}} }
	tests := map[string]struct {
		edit func(*cloud)
		want []string
	}{
		"days":      {rule(0, func(o object) { o["deleteObjectsTransition"] = age(86400) }), []string{"rules[0].expireDays"}},
		"half days": {rule(0, func(o object) { o["deleteObjectsTransition"] = age(43200) }), []string{"rules[0].beyond", "rules[0].expireDays"}},
		"a date": {rule(0, func(o object) {
			o["deleteObjectsTransition"] = object{"condition": object{"type": "Date", "date": "2027-01-01T00:00:00Z"}}
		}), []string{"rules[0].beyond", "rules[0].expireDays"}},
		"disabled":  {rule(1, func(o object) { o["enabled"] = false }), []string{"rules[1].disabled"}},
		"prefix":    {rule(1, func(o object) { o["conditions"] = object{"prefix": ""} }), []string{"rules[1].prefix"}},
		"removed":   {func(c *cloud) { c.buckets["uploads"] = c.buckets["uploads"][:2] }, []string{"rules[2]"}},
		"all gone":  {func(c *cloud) { c.buckets["uploads"] = nil }, []string{"rules[0]", "rules[1]", "rules[2]"}},
		"added":     {func(c *cloud) { c.buckets["uploads"] = append(c.buckets["uploads"], defaultRules()...) }, []string{"rules[3]"}},
		"reordered": {func(c *cloud) { b := c.buckets["uploads"]; b[0], b[1] = b[1], b[0] }, []string{}},
		"the default kept beside": {
			rule(2, func(o object) { o["abortMultipartUploadsTransition"] = age(604800) }), []string{"rules[2].abortMultipartDays"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, in := withBucket(t), bucketRules()
			e.mustUp(in)
			e.cloud.change(tt.edit)
			e.refresh()
			if diff := cmp.Diff(tt.want, paths(e.diff(e.mustCheck(in)))); diff != "" {
				t.Fatalf("drift (-want +got):\n%s", diff)
			}
			e.mustUp(in)
			e.refresh()
			if changed := e.mustUp(in); changed != nil {
				t.Errorf("after the repair: %v", changed)
			}
		})
	}
}

func TestLifecycleOfABucketThatIsGone(t *testing.T) {
	t.Parallel()
	e, in := withBucket(t), bucketRules()
	e.mustUp(in)
	e.cloud.change(func(c *cloud) { delete(c.buckets, "uploads") })
	if err := e.destroy(); err != nil {
		t.Errorf("delete: %v", err)
	}
	e.refresh()
	if e.id != "" {
		t.Error("still there")
	}
	if _, err := e.up(in); err == nil {
		t.Error("rules of no bucket were accepted")
	}
}

func TestCheckOfALifecycle(t *testing.T) {
	t.Parallel()
	add := func(r object) func(object) {
		return func(o object) { o["rules"] = append(o["rules"].([]any), r) }
	}
	tests := map[string]struct {
		edit func(object)
		want map[string]string
	}{
		"fine":            {func(object) {}, nil},
		"bucket":          {func(o object) { o["bucketName"] = "UP" }, map[string]string{"bucketName": "a-z"}},
		"id twice":        {add(object{"id": "tmp", "expireDays": 1}), map[string]string{"rules[3].id": "rules[0]"}},
		"no id":           {add(object{"id": "", "expireDays": 1}), map[string]string{"rules[3].id": "1 to 255"}},
		"does nothing":    {add(object{"id": "x"}), map[string]string{"rules[3]": "does nothing"}},
		"negative":        {add(object{"id": "x", "expireDays": -1}), map[string]string{"rules[3].expireDays": "at least 1"}},
		"too late":        {add(object{"id": "x", "expireDays": 5, "infrequentDays": 5}), map[string]string{"rules[3].infrequentDays": "gone after 5"}},
		"output as input": {add(object{"id": "x", "expireDays": 5, "beyond": "x"}), map[string]string{"rules[3].beyond": "output"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, failures := withBucket(t).check(bucketRules(tt.edit))
			expectFailures(t, tt.want, failures)
		})
	}
}
