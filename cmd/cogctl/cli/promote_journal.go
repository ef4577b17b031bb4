package cli

import (
	"context"
	"errors"

	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// lookBack finds what earlier runs wrote down, and says so when the last of them did not come to its end.
func (p *promotee) lookBack() (err error) {
	folders := append(p.d.proofFolders(p.o.trustOptions), p.d.proofs())
	if p.last, err = promotion.Last(p.rule.To, folders...); err != nil {
		return err
	}
	if p.result.Unfinished, err = promotion.Open(p.rule.To, folders...); err == nil && p.result.Unfinished != nil {
		p.d.Term.Note(term.T(p.result.Unfinished.Text))
	}
	return err
}

// written applies and proves a promotion that is written down before, so that a run that is killed anywhere leaves word of it.
func (p *promotee) written(ctx context.Context, e promotion.Evidence) error {
	entry := promotion.Next(e, p.last)
	e.Before, e.WasServing = entry.Before, entry.WasServing
	if err := entry.Write(p.d.proofs()); err != nil {
		return err
	}
	if err := p.apply(ctx); err != nil {
		if errors.Is(err, fault.Refused) { // by a policy, before anything was applied: what was open before is open still
			return errors.Join(err, entry.Withdraw(p.d.proofs()))
		}
		return err
	}
	entry.Stage = promotion.Applied
	if err := entry.Write(p.d.proofs()); err != nil {
		return err
	}
	if err := p.prove(ctx, e); err != nil {
		return err
	}
	entry.Stage, entry.Verdict, entry.Proof = promotion.Ended, p.result.Verdict, p.result.Proof
	return entry.Write(p.d.proofs())
}

// unfinished is a promotion of which no end is known, by the evidence of these folders.
func (d *Deps) unfinished(to string, o trustOptions) (*promotion.Unfinished, error) {
	return promotion.Open(to, d.proofFolders(o)...)
}

func unfinishedBlocks(u *promotion.Unfinished) []term.Block {
	if u == nil {
		return nil
	}
	return []term.Block{term.Headline(term.Fail, u.Text), term.Hint(u.Hint)}
}

// promotion looks whether a run that was begun from here left production in the middle.
func (x examiner) promotion() symptom {
	const name = "promotions"
	c, err := x.d.Contract()
	if err != nil {
		return unclear(name, err.Error(), fault.HintOf(err))
	}
	switch open, err := x.d.unfinished(c.Gates.Promotion.To, trustOptions{}); {
	case err != nil:
		return sick(name, err.Error(), fault.HintOf(err))
	case open != nil:
		return sick(name, open.Text, open.Hint)
	default:
		return fine(name, "none is unfinished")
	}
}
