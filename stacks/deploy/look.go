package deploy

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/internal/cfapi"
)

// found is what a look at state and account brought: the state as it should be, and edits only we can undo.
type found struct {
	state    *state
	restores []restore
}

// restore is an edit behind our back that the plugin cannot undo.
type restore struct {
	urn, kind, id, message string
	do                     func(context.Context) error
}

// look compares the state with what is live, and corrects its copy of the state so that the engine plans what is really needed.
// It writes nothing; converge imports the corrected state after the policies have passed.
func (r *run) look(ctx context.Context) (*found, error) {
	s, err := r.space.exportState(ctx)
	if err != nil {
		return nil, err
	}
	f := &found{state: s}
	if len(s.resources()) == 0 && len(s.pending()) == 0 {
		return f, nil
	}
	api, err := r.API()
	if err != nil {
		return nil, err
	}
	live := &catalog{api: api, got: map[string]*listing{}}
	if err := r.warm(ctx, live, s); err != nil {
		return nil, err
	}
	if err := r.adopt(ctx, live, s); err != nil {
		return nil, err
	}
	return f, r.compare(ctx, live, f)
}

// warm reads every list that will be needed, at once.
func (r *run) warm(ctx context.Context, live *catalog, s *state) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	known := kinds()
	for _, res := range append(s.resources(), pendingResources(s)...) {
		if k, ok := known[res.kind()]; ok {
			g.Go(func() error { _, err := live.list(ctx, k, res.inputs()); return err })
		}
	}
	return g.Wait()
}

func pendingResources(s *state) []resource {
	var list []resource
	for _, op := range s.pending() {
		list = append(list, resource(object(op["resource"])))
	}
	return list
}

// adopt settles what a killed engine left open. A creation that did happen is taken into the state by its natural key;
// every other operation is dropped, because looking at the resource tells more than knowing that it was being worked on.
func (r *run) adopt(ctx context.Context, live *catalog, s *state) error {
	known := kinds()
	for _, op := range s.pending() {
		res := resource(object(op["resource"]))
		k, ok := known[res.kind()]
		if text(op["type"]) != "creating" || !ok {
			continue
		}
		items, err := live.list(ctx, k, res.inputs())
		if err != nil {
			return err
		}
		i := slices.IndexFunc(items, func(it item) bool { return it.key == k.key(res.inputs()) })
		if i < 0 || s.holds(res, items[i].id) {
			continue
		}
		r.drift(k, items[i].id, "%s was being created when the deployment was cut off: it exists, and is taken into the state", k.key(res.inputs()))
		s.add(res, items[i].id)
	}
	s.clearPending()
	return nil
}

// holds says whether the state has this very resource already.
func (s *state) holds(res resource, id string) bool {
	return slices.ContainsFunc(s.resources(), func(have resource) bool {
		return have.kind() == res.kind() && have.id() == id && id != ""
	})
}

// add appends a resource whose creation was not recorded; an older one of the same name becomes the one to be deleted.
func (s *state) add(res resource, id string) {
	list := s.resources()
	for _, old := range list {
		if old.urn() == res.urn() && old["delete"] != true {
			old["delete"] = true
		}
	}
	made := resource{}
	for key, v := range res {
		made[key] = v
	}
	if id == "" {
		id = text(res.inputs()["scriptName"])
	}
	made["id"], made["custom"] = id, true
	outputs := map[string]any{"id": id}
	for key, v := range res.inputs() {
		outputs[key] = v
	}
	made["outputs"] = outputs
	s.setResources(append(list, made))
}

// compare looks each recorded resource up among the live ones.
func (r *run) compare(ctx context.Context, live *catalog, f *found) error {
	known := kinds()
	gone := map[*any]bool{}
	_ = gone
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
