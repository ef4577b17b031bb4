package snapshot_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/cognomega/edge/audit/snapshot"
)

// filled makes a value in which every field of every type says something, by looking at the types themselves: a field that is
// added later is in it without anybody thinking of it.
func filled(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				v.Field(i).Set(filled(t.Field(i).Type))
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf("k").Convert(t.Key()), filled(t.Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, filled(t.Elem())))
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(filled(t.Elem()))
	case reflect.Interface:
		v.Set(reflect.ValueOf("any"))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7)
	default:
		panic("a kind that snapshots do not have yet: " + t.String())
	}
	return v
}

// leaves calls with every scalar of a JSON tree: where it is, and how to make it another.
func leaves(at string, v any, set func(any), each func(path string, change func())) {
	switch x := v.(type) {
	case map[string]any:
		for key, one := range x {
			leaves(at+"."+key, one, func(w any) { x[key] = w }, each)
		}
	case []any:
		for i, one := range x {
			leaves(at+"[]", one, func(w any) { x[i] = w }, each)
		}
	case string:
		each(at, func() { set(x + "-other") })
	case bool:
		each(at, func() { set(!x) })
	case float64:
		each(at, func() { set(x + 1) })
	}
}

// TestEveryFieldOfEveryTypeIsCompared changes each field that a snapshot can have, one at a time, and takes it away.
func TestEveryFieldOfEveryTypeIsCompared(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(filled(reflect.TypeFor[snapshot.Content]()).Interface())
	if err != nil {
		t.Fatal(err)
	}
	whole := content(t, raw)
	tree := func() (root map[string]any) {
		if err := json.Unmarshal(raw, &root); err != nil {
			t.Fatal(err)
		}
		return root
	}
	var paths []string
	leaves("", tree(), nil, func(path string, _ func()) { paths = append(paths, path) })
	if len(paths) < 60 {
		t.Fatalf("only %d fields are known: %q", len(paths), paths)
	}
	for _, path := range paths {
		root := tree()
		leaves("", root, nil, func(at string, change func()) {
			if at == path {
				change()
			}
		})
		changed, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		if d := snapshot.Diff(whole, content(t, changed), nil); len(d.Changes) == 0 || len(d.Changes) > 2 {
			t.Errorf("%s was changed, the diff says %q", path, lines(d.Changes))
		}
	}
	// The same for everything that can be gone: every member of every object.
	var members func(at string, v any, each func(path string, remove func()))
	members = func(at string, v any, each func(string, func())) {
		if object, ok := v.(map[string]any); ok {
			for key, one := range object {
				each(at+"."+key, func() { delete(object, key) })
				members(at+"."+key, one, each)
			}
		}
	}
	gone := 0
	members("", tree(), func(path string, _ func()) {
		if strings.Count(path, ".") < 2 {
			return // a section is there always
		}
		root := tree()
		members("", root, func(at string, remove func()) {
			if at == path {
				remove()
			}
		})
		less, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		gone++
		if d := snapshot.Diff(whole, content(t, less), nil); len(d.Changes) == 0 {
			t.Errorf("%s is gone, and the diff says nothing", path)
		}
	})
	t.Logf("%d fields changed, %d things taken away", len(paths), gone)
}

func content(t *testing.T, raw []byte) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.OfContent(raw, "x", "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
