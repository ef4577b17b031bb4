package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"

	"github.com/cognomega/edge/internal/fault"
)

// converge is preview and up: they look and judge alike, and only then part.
func (r *run) converge(ctx context.Context, judge *judge, f *found) error {
	if r.AllowDelete && r.Protected {
		f.state.unprotect()
	}
	planFile := filepath.Join(r.space.dir, "plan.json")
	defer func() { _ = os.Remove(planFile) }() // not there when the preview failed
	p, err := r.preview(ctx, f, planFile)
	if p != nil {
		p.emit(r.out)
		for _, fix := range f.restores {
			r.out.emit(Line{Type: "plan", Op: "update", URN: fix.urn, ResourceType: fix.kind, Name: nameOf(fix.urn), Diff: []string{"name (update)"}})
		}
		// Judged also when the engine gave up on the preview: "a policy forbids it" says more than where the engine stopped.
		if refused := r.judgePlan(ctx, judge, p, err == nil); refused != nil {
			return refused
		}
	}
	if err != nil {
		return err
	}
	if r.Verb == Preview {
		r.summary(p.withRestores(f), nil)
		return nil
	}
	err = r.apply(ctx, f, p, planFile)
	if errors.Is(err, fault.Drift) && !r.again {
		return r.onceMore(ctx, judge)
	}
	return err
}

// onceMore looks and judges again after the engine stopped because the account was not as the preview had found it.
// What it did until then had been judged; the rest is judged anew.
func (r *run) onceMore(ctx context.Context, judge *judge) error {
	r.again = true
	r.out.step("preview", "something changed between judging and applying: looking again")
	f, err := r.look(ctx)
	if err != nil {
		return err
	}
	return r.converge(ctx, judge, f)
}

func (p *plan) withRestores(f *found) map[string]int {
	n := p.counts()
	if len(f.restores) > 0 {
		n["update"] += len(f.restores)
		n["same"] -= len(f.restores)
	}
	return n
}

// preview runs the engine without writing: over the stack itself, or over a copy of it when its state wants correction.
func (r *run) preview(ctx context.Context, f *found, planFile string) (*plan, error) {
	space := r.space
	if f.state.changed {
		s, err := r.scratch(ctx, f.state)
		if err != nil {
			return nil, err
		}
		defer s.close()
		space = s
	}
	// The bundle's own error is plainer than the engine's account of a program that failed.
	if _, err := r.program.wait(); err != nil {
		return nil, err
	}
	r.out.step("preview", "compare what is declared with what is deployed")
	p, ch, done := &plan{}, make(chan events.EngineEvent, 64), make(chan struct{})
	go func() { defer close(done); p.collect(ch, r.out) }()
	opts := []optpreview.Option{optpreview.EventStreams(ch), optpreview.Color("never"), optpreview.Plan(planFile), optpreview.SuppressProgress()}
	if r.Refresh || r.Verb == Up {
		opts = append(opts, optpreview.Refresh())
	}
	_, err := space.stack.Preview(ctx, opts...)
	return p, r.finished("preview", err, done, &p.problems)
}

// apply carries out what was judged, and nothing else: the plan file pins the engine to it.
func (r *run) apply(ctx context.Context, f *found, p *plan, planFile string) error {
	if r.AllowDelete {
		f.state.force(p.deletes)
	}
	if err := r.correct(ctx, f); err != nil {
		return err
	}
	for _, fix := range f.restores {
		r.out.step("apply", fix.message+"; undoing it")
		if err := fix.do(ctx); err != nil {
			return err
		}
	}
	changes := p.changes()
	if len(changes) == 0 && len(p.drifted) == 0 {
		r.summary(p.withRestores(f), f.state.outputs())
		return nil
	}
	if err := r.intend(ctx, p); err != nil {
		return err
	}
	r.out.step("apply", "apply what was judged")
	g, ch, done := &progress{out: r.out, total: len(changes)}, make(chan events.EngineEvent, 64), make(chan struct{})
	go func() { defer close(done); g.collect(ch) }()
	res, err := r.space.stack.Up(ctx, optup.EventStreams(ch), optup.Color("never"), optup.Plan(planFile), optup.Refresh(), optup.SuppressProgress())
	if err := r.finished("apply", err, done, &g.applied.problems); err != nil {
		return err
	}
	if err := os.Remove(intentFile(r.space.dir)); err != nil {
		return fault.New(fault.Unavailable, "forget what was to be created: %w", err)
	}
	outputs := map[string]any{}
	for name, v := range res.Outputs {
		outputs[name] = v.Value
		if v.Secret {
			outputs[name] = hidden
		}
	}
	counts := g.applied.counts()
	if len(counts) == 0 {
		counts = p.counts()
	}
	r.summary(counts, outputs)
	return nil
}

func (r *run) summary(changes map[string]int, outputs map[string]any) {
	r.out.emit(Line{Type: "summary", Changes: changes, DurationMS: time.Since(r.started).Milliseconds(), Outputs: outputs})
}

func sameJSON(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
