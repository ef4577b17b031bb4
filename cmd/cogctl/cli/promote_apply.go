package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/gate"
	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
)

// carryOut applies the release between two looks at who owns the hostname, and keeps the proof of it.
func (p *promotee) carryOut(ctx context.Context) (err error) {
	if err := p.reach(ctx); err != nil {
		return err
	}
	e := promotion.Evidence{To: p.rule.To, Rollback: p.o.rollback, Release: *p.result.Release, Promoted: p.result.Promoted, Run: *p.result.Run}
	if p.result.Gate != nil {
		e.Gate = withoutFolders(p.result.Gate)
	}
	if e.Before, err = routes.Collect(ctx, p.t.API, routes.AskFor(p.t)); err != nil {
		return fault.New(fault.KindOf(err), "audit the routes before: %w", err)
	}
	if e.WasServing, err = evidence.Deployed(ctx, p.t); err != nil {
		return err
	}
	e.At = p.d.now()
	if p.o.dryRun {
		return p.apply(ctx)
	}
	return p.written(ctx, e)
}

// reach resolves the environment, to be judged by the contract of the release.
func (p *promotee) reach(ctx context.Context) error {
	if p.t != nil {
		return nil
	}
	t, err := p.d.Target(ctx, p.rule.To)
	if err != nil {
		return err
	}
	judged := *t
	judged.Contract = p.judged
	p.t = &judged
	return nil
}

// withoutFolders names each file by its last part: where it lay on this machine is nobody's business.
func withoutFolders(g *gate.Decision) *gate.Decision {
	kept := *g
	kept.Links = slices.Clone(g.Links)
	for i := range kept.Links {
		kept.Links[i].File = filepath.Base(kept.Links[i].File)
	}
	return &kept
}

func (p *promotee) apply(ctx context.Context) error {
	n, err := platform.Connect(ctx, p.judged, p.l, p.rule.To)
	if err != nil {
		return err
	}
	verb := "up"
	if p.o.dryRun {
		verb = "preview"
	}
	tracker, err := runStack(ctx, p.d, p.l, n, platform.StackRun{Verb: verb, Refresh: true, AllowDelete: p.o.allowDelete, Release: p.release.Dir})
	if err != nil {
		return err
	}
	p.result.Changes = tracker.Summary.Changes
	if p.o.dryRun {
		p.result.plan = planRows(tracker.Plan, tracker.Drift)
		return nil
	}
	fmt.Fprintf(p.d.Term.Err(), "apply   %s in %.1f s\n", changesText(tracker.Summary.Changes), float64(tracker.Summary.DurationMS)/1000)
	if _, err := platform.PublishKeys(ctx, p.judged, n, p.l); err != nil {
		return fault.New(fault.KindOf(err), "publish the signing key's public half: %w", err)
	}
	return nil
}

// prove looks at what became of it, from the account and from outside, and keeps all of it signed.
func (p *promotee) prove(ctx context.Context, e promotion.Evidence) (err error) {
	if e.After, err = routes.Collect(ctx, p.t.API, routes.AskFor(p.t)); err != nil {
		return fault.New(fault.KindOf(err), "audit the routes after: %w", err)
	}
	if e.Serving, err = evidence.Deployed(ctx, p.t); err != nil {
		return err
	}
	e.Changes = routes.Compare(e.Before, e.After)
	r, err := promotion.Conclude(p.t, e)
	if err != nil {
		return err
	}
	o := evidence.Origin{Tool: p.d.Version, At: p.d.now(), Subjects: e.Serving}
	if o.Signer, err = p.d.signer(); err != nil {
		return err
	}
	path, err := evidence.Keep(ctx, p.d.proofs(), promotion.Check(), p.t, o, r)
	if err != nil {
		return err
	}
	p.result.Proof, p.result.Verdict, p.result.Summary, p.result.Findings, p.result.Routes = relative(path), r.Verdict, r.Summary, r.Findings, e.Changes
	target := p.d.Target
	p.d.Target = func(context.Context, string) (*audit.Target, error) { return p.t, nil }
	defer func() { p.d.Target = target }()
	if p.result.Phase0, err = proveAfterUp(ctx, p.d, p.l); err != nil {
		return err
	}
	p.result.Verdict = audit.Worst(r.Verdict, p.result.Phase0.Verdict)
	return nil
}
