package provider_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// objects is a script with these classes and nothing else.
func objects(t *testing.T, deleted []any, classes ...any) property.Map {
	return worker(t, func(o object) {
		o["bindings"], o["durableObjects"], o["deletedClasses"] = []any{}, classes, deleted
	})
}

// Each story is a sequence of deployments; it ends with the classes and the tag that Cloudflare then has.
func TestMigrationsAreDerivedFromWhatIsLive(t *testing.T) {
	t.Parallel()
	sqlite := func(class string) any { return object{"class": class, "sqlite": true} }
	renamed := func(from, to string) any { return object{"class": to, "sqlite": true, "renamedFrom": from} }
	type step struct {
		classes []any
		deleted []any
		fails   string
	}
	tests := map[string]struct {
		steps []step
		want  map[string]bool
		tag   string
	}{
		"none":                       {[]step{{}}, map[string]bool{}, ""},
		"two at once":                {[]step{{classes: []any{sqlite("A"), object{"class": "B"}}}}, map[string]bool{"A": true, "B": false}, "v1"},
		"one more later":             {[]step{{classes: []any{sqlite("A")}}, {classes: []any{sqlite("A"), sqlite("B")}}}, map[string]bool{"A": true, "B": true}, "v2"},
		"nothing new is not sent":    {[]step{{classes: []any{sqlite("A")}}, {classes: []any{sqlite("A")}}}, map[string]bool{"A": true}, "v1"},
		"rename":                     {[]step{{classes: []any{sqlite("A")}}, {classes: []any{renamed("A", "B")}}}, map[string]bool{"B": true}, "v2"},
		"rename said again":          {[]step{{classes: []any{sqlite("A")}}, {classes: []any{renamed("A", "B")}}, {classes: []any{renamed("A", "B")}}}, map[string]bool{"B": true}, "v2"},
		"rename of nothing is new":   {[]step{{classes: []any{renamed("A", "B")}}}, map[string]bool{"B": true}, "v1"},
		"disappearing is refused":    {[]step{{classes: []any{sqlite("A")}}, {fails: "deletedClasses"}}, map[string]bool{"A": true}, "v1"},
		"deletion by name":           {[]step{{classes: []any{sqlite("A"), sqlite("B")}}, {classes: []any{sqlite("B")}, deleted: []any{"A"}}}, map[string]bool{"B": true}, "v2"},
		"change of storage":          {[]step{{classes: []any{sqlite("A")}}, {classes: []any{object{"class": "A"}}, fails: "storage cannot change"}}, map[string]bool{"A": true}, "v1"},
		"deletion of what is gone":   {[]step{{deleted: []any{"A"}}}, map[string]bool{}, ""},
		"rename and deletion at one": {[]step{{classes: []any{sqlite("A"), sqlite("B")}}, {classes: []any{renamed("A", "C")}, deleted: []any{"B"}}}, map[string]bool{"C": true}, "v2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEngine(t, newCloud(t), "WorkerScript")
			for i, s := range tt.steps {
				_, err := e.up(objects(t, s.deleted, s.classes...))
				if (err == nil) != (s.fails == "") || err != nil && !strings.Contains(err.Error(), s.fails) {
					t.Fatalf("step %d: %v", i, err)
				}
			}
			s := e.cloud.scripts["api"]
			if diff := cmp.Diff(tt.want, s.classes); diff != "" || s.tag != tt.tag {
				t.Errorf("tag %q, classes (-want +got):\n%s", s.tag, diff)
			}
		})
	}
}

// Another tool migrates between our reading and our upload: the upload is refused with 10079, and goes through on what is then live.
func TestRaceOfMigrations(t *testing.T) {
	t.Parallel()
	e := newEngine(t, newCloud(t), "WorkerScript")
	e.mustUp(objects(t, nil, object{"class": "A", "sqlite": true}))
	raced := 0
	e.cloud.before = func(method, path string) (int, int) {
		if method == "PUT" && path == "/workers/scripts/api" && raced == 0 {
			raced++
			e.cloud.scripts["api"].tag = "wrangler-7"
			e.cloud.scripts["api"].classes["B"] = true
		}
		return 0, 0
	}
	e.mustUp(objects(t, nil, object{"class": "A", "sqlite": true}, object{"class": "B", "sqlite": true}, object{"class": "C", "sqlite": true}))
	s := e.cloud.scripts["api"]
	if got := slices.Sorted(maps.Keys(s.classes)); s.tag != "wrangler-8" || !slices.Equal(got, []string{"A", "B", "C"}) {
		t.Errorf("tag %q, classes %v", s.tag, got)
	}
	puts := slices.DeleteFunc(e.cloud.takeWrites(), func(w string) bool { return w != "PUT /workers/scripts/api" })
	if raced != 1 || len(puts) != 3 {
		t.Errorf("raced %d, uploads %v", raced, puts)
	}
}

// A tag that never agrees ends in Cloudflare's error, after one more look and no more.
func TestRaceThatIsLostTwice(t *testing.T) {
	t.Parallel()
	e := newEngine(t, newCloud(t), "WorkerScript")
	e.cloud.before = func(method, _ string) (int, int) {
		if method == "PUT" {
			return 10079, 412
		}
		return 0, 0
	}
	_, err := e.up(objects(t, nil, object{"class": "A", "sqlite": true}))
	if err == nil || !strings.Contains(err.Error(), "10079") || !strings.Contains(err.Error(), "deploy again") {
		t.Errorf("error: %v", err)
	}
	if writes := e.cloud.takeWrites(); len(writes) != 2 {
		t.Errorf("writes: %v", writes)
	}
}

func TestTagThatOnlyTheListOfScriptsHas(t *testing.T) {
	t.Parallel()
	e := newEngine(t, newCloud(t), "WorkerScript")
	e.cloud.hideTag = true
	e.mustUp(objects(t, nil, object{"class": "A", "sqlite": true}))
	e.mustUp(objects(t, nil, object{"class": "A", "sqlite": true}, object{"class": "B", "sqlite": true}))
	if s := e.cloud.scripts["api"]; s.tag != "v2" || len(s.classes) != 2 {
		t.Errorf("tag %q, classes %v", s.tag, s.classes)
	}
}
