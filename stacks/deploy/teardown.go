package deploy

import (
	"context"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
)

// refresh makes the state what is live. The corrections go in first, because the official plugin fails to read some things that are gone.
func (r *run) refresh(ctx context.Context, f *found) error {
	if err := r.correct(ctx, f); err != nil {
		return err
	}
	r.out.step("preview", "read every resource again")
	p, ch, done := &plan{refreshes: true}, make(chan events.EngineEvent, 64), make(chan struct{})
	go func() { defer close(done); p.collect(ch, r.out) }()
	res, err := r.space.stack.Refresh(ctx, optrefresh.EventStreams(ch), optrefresh.Color("never"), optrefresh.SuppressProgress())
	if err := r.finished("refresh", err, done, &p.problems); err != nil {
		return err
	}
	p.emit(r.out)
	counts := map[string]int{}
	if res.Summary.ResourceChanges != nil {
		counts = *res.Summary.ResourceChanges
	}
	r.summary(counts, nil)
	return nil
}

func (r *run) correct(ctx context.Context, f *found) error {
	if !f.state.changed {
		return nil
	}
	return r.space.importState(ctx, f.state)
}

// destroy deletes every resource, once the policies have agreed to the loss of each.
func (r *run) destroy(ctx context.Context, j *judge, f *found) error {
	docs := f.state.documents("delete")
	if err := r.verdict(ctx, j, docs); err != nil {
		return err
	}
	if r.AllowDelete {
		f.state.unprotect()
		f.state.force(func(string) bool { return true })
	}
	if err := r.correct(ctx, f); err != nil {
		return err
	}
	r.out.step("apply", "delete every resource of the stack")
	g, ch, done := &progress{out: r.out, total: len(docs)}, make(chan events.EngineEvent, 64), make(chan struct{})
	go func() { defer close(done); g.collect(ch) }()
	_, err := r.space.stack.Destroy(ctx, optdestroy.EventStreams(ch), optdestroy.Color("never"), optdestroy.SuppressProgress())
	if err := r.finished("destroy", err, done, &g.applied.problems); err != nil {
		return err
	}
	r.summary(g.applied.counts(), nil)
	return nil
}
