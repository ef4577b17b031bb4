package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/google/go-cmp/cmp"
)

const day = 24 * time.Hour

// The rules of the product's own bucket, as the API takes them.
const prodRules = `[
	{"id":"logs","enabled":true,"conditions":{"prefix":"logs/"},
	 "deleteObjectsTransition":{"condition":{"type":"Age","maxAge":10368000}},
	 "storageClassTransitions":[{"condition":{"type":"Age","maxAge":5184000},"storageClass":"InfrequentAccess"}]},
	{"id":"tmp","enabled":true,"conditions":{"prefix":"tmp/"},"deleteObjectsTransition":{"condition":{"type":"Age","maxAge":259200}}},
	{"id":"multipart","enabled":true,"conditions":{"prefix":""},"abortMultipartUploadsTransition":{"condition":{"type":"Age","maxAge":172800}}},
	{"id":"off","enabled":false,"conditions":{"prefix":""},"deleteObjectsTransition":{"condition":{"type":"Age","maxAge":1}}},
	{"id":"day","enabled":true,"conditions":{"prefix":"campaign/"},"deleteObjectsTransition":{"condition":{"type":"Date","date":"2026-03-03T00:00:00Z"}}}
]`

func setRules(t testing.TB, s *store.Store, rules string) {
	t.Helper()
	b := store.Bucket{Name: "b"}
	must(t, json.Unmarshal([]byte(rules), &b.Lifecycle))
	must(t, s.Update(func(tx *store.Tx) error { return tx.Put(store.Buckets, "b", b) }))
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	s := account(t, dir, store.Options{Now: c.Now})
	setRules(t, s, prodRules)
	for _, key := range []string{"campaign/x", "keep", "logs/x", "tmp/x", "tmpx"} {
		putObject(t, s, key, key, store.R2PutOptions{})
	}
	up, err := s.R2().CreateMultipart("b", "keep", store.MultipartOptions{})
	must(t, err)
	_, err = s.R2().UploadPart(context.Background(), "b", "keep", up.ID, 1, strings.NewReader("part"))
	must(t, err)

	start := c.Now() // noon of the first of March
	for _, step := range []struct {
		after time.Duration
		want  string // what the run did
		left  string // objects, * for infrequent access
	}{
		{time.Second, "", "campaign/x keep logs/x tmp/x tmpx"},
		{36 * time.Hour, "day -1", "keep logs/x tmp/x tmpx"},
		{2*day - time.Second, "", "keep logs/x tmp/x tmpx"},
		{2 * day, "multipart x1", "keep logs/x tmp/x tmpx"},
		{3*day - time.Second, "", "keep logs/x tmp/x tmpx"},
		{3 * day, "tmp -1", "keep logs/x tmpx"},
		{60 * day, "logs ~1", "keep logs/x* tmpx"},
		{119 * day, "", "keep logs/x* tmpx"},
		{120 * day, "logs -1", "keep tmpx"},
	} {
		for run, want := range []string{step.want, ""} { // the second run finds nothing to do
			if got := runLifecycle(t, s, start.Add(step.after)); got != want {
				t.Errorf("run %d after %s: %q, want %q", run, step.after, got, want)
			}
		}
		if got := classes(t, s); got != step.left {
			t.Errorf("after %s there are %q, want %q", step.after, got, step.left)
		}
	}
	wantFiles(t, dir, 2)
}

// runLifecycle says what was done: -deleted, ~transitioned, x aborted.
func runLifecycle(t testing.TB, s *store.Store, now time.Time) string {
	t.Helper()
	report, err := s.R2().RunLifecycle(now)
	must(t, err)
	var did []string
	for _, a := range report.Actions {
		for sign, n := range map[string]int{"-": a.Deleted, "~": a.Transitioned, "x": a.Aborted} {
			if n > 0 {
				did = append(did, fmt.Sprintf("%s %s%d", a.Rule, sign, n))
			}
		}
	}
	return strings.Join(did, ", ")
}

func classes(t testing.TB, s *store.Store) string {
	t.Helper()
	page, err := s.R2().List("b", store.R2ListOptions{})
	must(t, err)
	var all []string
	for _, o := range page.Objects {
		if all = append(all, o.Key); o.StorageClass == store.ClassInfrequentAccess {
			all[len(all)-1] += "*"
		}
	}
	return strings.Join(all, " ")
}

// More objects than one transaction looks at.
func TestLifecycleOfManyObjects(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	s := account(t, dir, store.Options{Now: c.Now})
	setRules(t, s, `[{"id":"all","enabled":true,"conditions":{"prefix":"a"},"deleteObjectsTransition":{"condition":{"type":"Age","maxAge":60}}}]`)
	const objects = 1100
	for i := range objects {
		putObject(t, s, fmt.Sprintf("%c%d", 'a'+i%2, i), "", store.R2PutOptions{})
	}
	report, err := s.R2().RunLifecycle(c.Now().Add(time.Minute))
	must(t, err)
	want := []store.LifecycleApplied{{Bucket: "b", Rule: "all", Deleted: objects / 2}}
	if diff := cmp.Diff(want, report.Actions); diff != "" {
		t.Error(diff)
	}
	wantFiles(t, dir, objects/2)
}
