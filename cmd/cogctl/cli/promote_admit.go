package cli

import (
	"context"
	"os"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/oidc"
	"github.com/cognomega/edge/internal/platform"
)

// Where a run of GitHub Actions asks for a token that says which run it is.
const (
	idTokenURLEnv = "ACTIONS_ID_TOKEN_REQUEST_URL"
	idTokenEnv    = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// admit sees that this is the one kind of run that may promote, and that it runs on what it says.
func (p *promotee) admit(ctx context.Context) error {
	want, client := p.rule.Run, p.d.Outside()
	token, err := oidc.Provider{RequestURL: p.d.Getenv(idTokenURLEnv), RequestToken: p.d.Getenv(idTokenEnv), HTTP: client}.Token(ctx, want.Audience)
	if err != nil {
		return p.refused(err)
	}
	claims, err := oidc.Verifier{Issuer: want.Issuer, Audience: want.Audience, HTTP: client, Now: p.d.Now}.Verify(ctx, token)
	if err != nil {
		return p.refused(err)
	}
	run := promotion.Run(claims)
	if found := promotion.Admit(want, run); len(found) > 0 {
		return p.refused(fault.New(fault.Refused, "%s", messages(found)).WithHint("run the deploy workflow of %s on %s", want.Repository, strings.TrimPrefix(want.Ref, "refs/heads/")))
	}
	commit, changed, err := platform.Commit(ctx, p.l)
	if err != nil {
		return err
	}
	switch {
	case commit != run.SHA:
		return p.refused(fault.New(fault.Refused, "this checkout is at commit %.12s, and the run is of %.12s", commit, run.SHA).WithHint("check out the commit of the run"))
	case changed:
		return p.refused(fault.New(fault.Refused, "tracked files of this checkout are not as they were committed").WithHint("git status"))
	}
	p.result.Run = &run
	return nil
}

// refused says of what the run is refused.
func (p *promotee) refused(err error) error {
	return fault.New(fault.KindOf(err), "promote to %s: %w", p.rule.To, err)
}

func messages(found []audit.Finding) string {
	all := make([]string, len(found))
	for i, f := range found {
		all[i] = f.Message
	}
	return strings.Join(all, "; ")
}

// choose settles which release is deployed: the one that this checkout makes, if it is what was proven, or an earlier one.
func (p *promotee) choose(ctx context.Context) (done func(), err error) {
	done = func() {}
	if p.o.rollback {
		err = p.chooseEarlier(ctx)
	} else {
		done, err = p.chooseProven(ctx)
	}
	if err == nil {
		p.result.Release = &promotion.Release{ID: p.release.ID, Contract: p.release.Contract, Workers: p.release.Workers}
	}
	return done, err
}

// chooseProven bundles the checkout. A dry run keeps nothing of it.
func (p *promotee) chooseProven(ctx context.Context) (done func(), err error) {
	dir, done := platform.ReleasesDir(p.d.proofs()), func() {}
	if p.o.dryRun {
		if dir, err = os.MkdirTemp("", "cogctl-release-"); err != nil {
			return done, fault.New(fault.Unavailable, "make a folder for the release: %w", err)
		}
		done = func() { _ = os.RemoveAll(dir) }
	}
	if p.release, err = platform.MakeRelease(ctx, p.l, dir); err != nil {
		return done, err
	}
	r := promotion.Release{ID: p.release.ID, Contract: p.release.Contract, Workers: p.release.Workers}
	for _, l := range p.result.Gate.Links {
		if found := promotion.Differs(r, l.Subjects); len(found) > 0 {
			return done, p.refused(fault.New(fault.Refused, "this checkout does not make what was proven in %s (%s): %s", p.result.Gate.Env, l.File, messages(found)).
				WithHint("check out the commit that was deployed to %[1]s, or deploy this one there and prove it: cogctl up --env %[1]s", p.result.Gate.Env))
		}
	}
	return done, nil
}
