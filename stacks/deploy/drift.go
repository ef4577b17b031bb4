package deploy

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/cognomega/edge/internal/cfapi"
)

// compare looks each recorded resource up among the live ones.
func (r *run) compare(ctx context.Context, live *catalog, f *found) error {
	known := kinds()
	var lost []resource
	for _, res := range f.state.resources() {
		k, ok := known[res.kind()]
		if !ok {
			continue
		}
		items, err := live.list(ctx, k, res.inputs())
		if err != nil {
			return err
		}
		it, ok := match(k, res, items)
		if !ok {
			r.drift(k, res.id(), "%s does not exist any more", k.key(res.inputs()))
			lost = append(lost, res)
			continue
		}
		r.reconcile(live.api, f, k, res, it)
	}
	if len(lost) > 0 {
		f.state.remove(func(res resource) bool {
			return slices.ContainsFunc(lost, func(l resource) bool { return l.urn() == res.urn() && l.id() == res.id() })
		})
	}
	return nil
}

// match finds a resource by its id, else by its natural key: what was deleted and made again is adopted, not duplicated.
func match(k kind, res resource, items []item) (item, bool) {
	for _, it := range items {
		if it.id != "" && it.id == res.id() {
			return it, true
		}
	}
	if res["delete"] == true {
		return item{}, false // an old copy on its way out is its id and nothing else
	}
	for _, it := range items {
		if it.key == k.key(res.inputs()) {
			return it, true
		}
	}
	return item{}, false
}

// reconcile puts what is live over what is recorded, so that the engine sees the difference to what is declared.
func (r *run) reconcile(api *cfapi.Client, f *found, k kind, res resource, it item) {
	if it.id != "" && it.id != res.id() {
		r.drift(k, it.id, "%s is not the one that was deployed (%s): it was deleted and made again", it.key, res.id())
		res["id"] = it.id
		if _, ok := res.outputs()["id"]; ok {
			res.outputs()["id"] = it.id
		}
		f.state.changed = true
	}
	edited := map[string]any{}
	var paths []string
	for name, liveValue := range it.props {
		declared, ok := res.inputs()[name]
		if !ok {
			continue
		}
		merged, diffs := overlay(declared, liveValue, name)
		if len(diffs) > 0 {
			edited[name] = merged
			paths = append(paths, diffs...)
		}
	}
	if len(edited) == 0 {
		return
	}
	sort.Strings(paths)
	message := fmt.Sprintf("%s was changed: %s", k.key(res.inputs()), strings.Join(paths, ", "))
	r.drift(k, res.id(), "%s", message)
	if k.restore != nil {
		inputs, id := res.inputs(), res.id()
		f.restores = append(f.restores, restore{urn: res.urn(), kind: res.kind(), id: id, message: message,
			do: func(ctx context.Context) error { return k.restore(ctx, api, id, inputs) }})
		return
	}
	for name, v := range edited {
		res.inputs()[name] = v
		if out := res.outputs(); out != nil {
			out[name] = v
		}
	}
	f.state.changed = true
}

// overlay is declared with live put over it where the two say different things, and the paths where they do.
// What the API does not give back (a password) and what was not declared is left alone.
func overlay(declared, live any, path string) (any, []string) {
	switch d := declared.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if _, secret := d[secretMark]; secret || !ok {
			return declared, nil
		}
		merged, paths := map[string]any{}, []string(nil)
		for key, v := range d {
			merged[key] = v
			if lv, ok := l[key]; ok {
				var sub []string
				merged[key], sub = overlay(v, lv, path+"."+key)
				paths = append(paths, sub...)
			}
		}
		return merged, paths
	case []any:
		if l, ok := live.([]any); ok && !sameSet(d, l) {
			return live, []string{fmt.Sprintf("%s is %v, was %v", path, l, d)}
		}
		return declared, nil
	default:
		if reflect.DeepEqual(declared, live) {
			return declared, nil
		}
		return live, []string{fmt.Sprintf("%s is %v, was %v", path, show(live), show(declared))}
	}
}

func show(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v)
}

func sameSet(a, b []any) bool {
	sorted := func(list []any) []string {
		out := make([]string, 0, len(list))
		for _, v := range list {
			out = append(out, fmt.Sprint(v))
		}
		sort.Strings(out)
		return out
	}
	return slices.Equal(sorted(a), sorted(b))
}

func (r *run) drift(k kind, id, format string, args ...any) {
	r.out.emit(Line{Type: "drift", Kind: k.name, ID: id, Message: k.name + " " + fmt.Sprintf(format, args...)})
}
