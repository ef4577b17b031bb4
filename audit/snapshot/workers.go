package snapshot

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// bundleTag is how deployments of ours name their bundle's digest.
const bundleTag = "bundle-"

func (r *reader) workers(ctx context.Context) error {
	var (
		scripts []cfapi.Script
		classes []cfapi.ObjectNamespace
		g, gctx = errgroup.WithContext(ctx)
	)
	g.Go(func() (err error) { scripts, err = r.api.Scripts(gctx); return err })
	g.Go(func() (err error) { classes, err = r.api.ObjectNamespaces(gctx); return err })
	if err := g.Wait(); err != nil {
		return err
	}
	read, err := each(ctx, scripts, func(ctx context.Context, s cfapi.Script) (*Worker, error) { return r.worker(ctx, s.Name) })
	if err != nil {
		return err
	}
	workers := map[string]Worker{}
	for i, s := range scripts {
		if read[i] == nil {
			continue // deleted since the list was read
		}
		for _, c := range byID(classes, func(c cfapi.ObjectNamespace) string { return c.ID }) {
			if c.Script == s.Name {
				keep(read[i].Objects, c.Class, ObjectClass{ID: c.ID, SQLite: c.UseSQLite})
			}
		}
		workers[s.Name] = *read[i]
	}
	r.into.Content.Workers = workers
	return nil
}

// worker reads one script; nil when it is gone.
func (r *reader) worker(ctx context.Context, script string) (*Worker, error) {
	var (
		state    cfapi.ScriptState
		switches cfapi.Switches
		w        = &Worker{Bindings: map[string]Fields{}, Secrets: []string{}, Serving: []Share{}, Objects: map[string]ObjectClass{}}
		g, gctx  = errgroup.WithContext(ctx)
	)
	g.Go(func() (err error) { state, err = r.api.ScriptState(gctx, script); return err })
	g.Go(func() (err error) { switches, err = r.api.ScriptSwitches(gctx, script); return err })
	g.Go(func() (err error) { w.Crons, err = r.api.Schedules(gctx, script); return err })
	g.Go(func() (err error) { w.Serving, err = r.serving(gctx, script); return err })
	if err := g.Wait(); err != nil {
		if errors.Is(err, fault.NotFound) {
			return nil, nil //nolint:nilnil // a script that is gone is no error
		}
		return nil, err
	}
	w.Crons, w.WorkersDev, w.PreviewURLs = sorted(w.Crons), switches.WorkersDev, switches.Previews
	w.settle(script, state)
	return w, nil
}

// settle takes over what a script is set to, with what means the same said the same way.
func (w *Worker) settle(script string, s cfapi.ScriptState) {
	for _, b := range s.Bindings {
		if name := b.Text("name"); isSecret(b) {
			w.Secrets = append(w.Secrets, name)
		} else {
			keep(w.Bindings, name, binding(script, b))
		}
	}
	w.Secrets = sorted(w.Secrets)
	w.CompatibilityDate, w.CompatibilityFlags, w.MigrationTag = s.CompatibilityDate, sorted(s.CompatibilityFlags), s.MigrationTag
	w.Placement = tidy(without(s.Placement, "status", "last_analyzed_at")) // what Cloudflare measured is not a setting
	w.Limits, w.Observability, w.Logpush = tidy(s.Limits), observability(s.Observability), s.Logpush
	for _, t := range s.TailConsumers {
		w.TailConsumers = append(w.TailConsumers, tidy(production(t)))
	}
	slices.SortFunc(w.TailConsumers, func(a, b Fields) int { return cmp.Compare(a.Text("service"), b.Text("service")) })
	for _, tag := range sorted(s.Tags) {
		if !strings.HasPrefix(tag, "cf:") { // Cloudflare's own marks
			w.Tags = append(w.Tags, tag)
		}
	}
}

// serving lists the versions that take traffic, most of it first.
func (r *reader) serving(ctx context.Context, script string) ([]Share, error) {
	deployments, err := r.api.Deployments(ctx, script)
	if err != nil || len(deployments) == 0 {
		return []Share{}, err
	}
	shares := []Share{}
	for _, v := range deployments[0].Versions {
		version, err := r.api.Version(ctx, script, v.VersionID)
		if err != nil {
			return nil, err
		}
		share := Share{Percentage: v.Percentage, VersionID: v.VersionID, Number: version.Number, ETag: strings.Trim(version.Resources.Script.ETag, `"`)}
		share.Bundle, _ = strings.CutPrefix(version.Annotations["workers/tag"], bundleTag)
		shares = append(shares, share)
	}
	slices.SortFunc(shares, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Percentage, a.Percentage), cmp.Compare(a.Number, b.Number), cmp.Compare(a.VersionID, b.VersionID))
	})
	return shares, nil
}

// binding is a binding without its name, which is its key, and without what is so anyway.
func binding(script string, b Fields) Fields {
	out := tidy(production(without(b, "name", "key_base64", "key_jwk", "password")))
	switch out.Text("type") {
	case "plain_text":
		out["text"] = plain(b.Text("name"), b.Text("text"))
	case "json":
		out["json"] = plainJSON(b.Text("name"), b["json"])
	case "durable_object_namespace":
		if out.Text("script_name") == script {
			delete(out, "script_name")
		}
		delete(out, "text")
	default:
		delete(out, "text") // no other type has a text that is not a value to keep to oneself
	}
	return out
}

// isSecret is true for bindings that have a value which only their Worker may know.
func isSecret(b Fields) bool {
	return b.Text("type") == "secret_text" || b.Text("type") == "secret_key"
}

// production leaves out the one environment that there is.
func production(f Fields) Fields {
	if f.Text("environment") == "production" {
		return without(f, "environment")
	}
	return f
}

// observability without what is so when nothing is said: everything is sampled, kept, and what is off has no settings.
func observability(f Fields) Fields {
	out := Fields{}
	for name, v := range f {
		switch inner, isObject := object(v); {
		case name == "head_sampling_rate" && number(v) == 1, name == "persist" && v == true:
		case isObject:
			if inner = observability(inner); len(inner) > 0 {
				out[name] = map[string]any(inner)
			}
		default:
			out[name] = v
		}
	}
	if enabled, said := out["enabled"]; said && enabled == false {
		return nil
	}
	return tidy(out)
}
