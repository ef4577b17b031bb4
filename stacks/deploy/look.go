package deploy

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
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
		return f, nil // nothing was begun: not even the provider is recorded
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
	return r.adoptIntended(ctx, live, s)
}

// adoptIntended does the same for creations that the engine believes to have failed.
func (r *run) adoptIntended(ctx context.Context, live *catalog, s *state) error {
	list, err := intended(r.space.dir)
	if err != nil {
		return err
	}
	known := kinds()
	for _, i := range list {
		res, ok := i.asResource(s)
		if !ok || s.has(i.URN) {
			continue
		}
		k := known[i.Type]
		items, err := live.list(ctx, k, i.Inputs)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(items, func(it item) bool { return it.key == k.key(i.Inputs) })
		if at < 0 || s.holds(res, items[at].id) {
			continue
		}
		r.drift(k, items[at].id, "%s was created, though its deployment was cut off before it knew: it is taken into the state", k.key(i.Inputs))
		s.add(res, items[at].id)
	}
	return nil
}

// has says whether the state knows a resource of this name.
func (s *state) has(urn string) bool {
	return slices.ContainsFunc(s.resources(), func(r resource) bool { return r.urn() == urn })
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
