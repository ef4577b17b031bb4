package rotation

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// Revocation is a key that is taken away without waiting for what it signed, and what came of it.
type Revocation struct {
	Outcome
	KID   string
	Role  string    // what the key was: signs, next, leaving, foreign
	Since time.Time // when the key set without it was acknowledged, by the clock of this machine
	Token *Token    // that the key signed, when it was the one that signs
}

// Revoke takes a key out of the key set now. It waits for nothing but to know what is published: when another program took a step
// in the last minutes, what it wrote may not be seen yet. A key that signs is replaced by a new one, which readers with an old copy
// of the key set do not know yet.
func (r *Rotator) Revoke(ctx context.Context, kid string) (*Revocation, error) {
	v, err := r.known(ctx, r.settledOrDead)
	if err != nil {
		return nil, err
	}
	rev := &Revocation{KID: kid}
	if rev.Role, err = r.role(ctx, v, kid); err != nil {
		return nil, err
	}
	if rev.Role == "signs" {
		if token, err := r.sample(ctx); err == nil && token.KID == kid { // without one the exposure is not measured, and the key goes all the same
			rev.Token = &token
		}
	}
	if err := r.remove(ctx, v, rev); err != nil {
		return rev, err
	}
	rev.Since = r.Now()
	return rev, nil
}

// sample is a token that the gateway has let in: what is measured later is how long a gateway that has the key at hand holds on to it.
func (r *Rotator) sample(ctx context.Context) (Token, error) {
	token, err := r.Edge.Mint(ctx)
	if err == nil {
		_, err = r.Edge.Accepts(ctx, token.Text)
	}
	return token, err
}

// Role tells what a key is to the platform, without changing anything.
func (r *Rotator) Role(ctx context.Context, kid string) (string, error) {
	v, err := r.known(ctx, r.settledOrDead)
	if err != nil {
		return "", err
	}
	return r.role(ctx, v, kid)
}

func (r *Rotator) role(ctx context.Context, v view, kid string) (string, error) {
	switch held := v.doc.find(kid); {
	case held == nil:
	case held == &v.doc.Signs:
		return "signs", nil
	case held == v.doc.Next:
		return "next", nil
	default:
		return "leaving", nil
	}
	raw, err := r.Account.KVGet(ctx, v.namespace, r.jwksKey())
	if err != nil && !errors.Is(err, fault.NotFound) {
		return "", err
	}
	keys, err := parseSet(raw)
	for _, k := range keys {
		if err == nil && k.kid == kid {
			return "foreign", nil
		}
	}
	return "", fault.New(fault.NotFound, "no published key is named %s", kid).WithHint("cogctl jwks list")
}

// remove takes the steps of a revocation until the key is out.
func (r *Rotator) remove(ctx context.Context, v view, rev *Revocation) error {
	first := action{name: stepDrop, step: r.drop(rev.KID)}
	if rev.Role == "signs" {
		first = action{name: stepRevoke, step: r.revoke}
	}
	for {
		doc, err := r.take(ctx, v, first)
		if err != nil {
			return err
		}
		if doc != nil {
			rev.Document, rev.Steps = doc, append(rev.Steps, first.name)
			r.Say(Progress{What: doc.Describe(first.name), Step: true})
			break
		}
		if v, err = r.known(ctx, r.settledOrDead); err != nil {
			return err
		}
	}
	out, err := r.run(ctx, plan{once: true, until: func(d *Document) bool { return d.Revoking == "" }}, rev.Outcome)
	rev.Outcome = out
	return err
}

// revoke says first that the signing key has to go, so that any machine can finish it.
func (r *Rotator) revoke(ctx context.Context, tx *transaction, d *Document) error {
	d.Revoking = d.Signs.KID
	if d.Next != nil {
		return nil
	}
	if err := r.begin(ctx, tx, d); err != nil {
		return err
	}
	if d.Leaving != nil && d.Leaving.Slot == d.Next.Slot {
		d.Leaving.Slot = "" // its private half is about to be written over; what it signed stays valid
	}
	return nil
}

// drop takes out a key that does not sign. The pointer is written again, so that it cannot mean the slot that is emptied.
func (r *Rotator) drop(kid string) func(context.Context, *transaction, *Document) error {
	return func(ctx context.Context, tx *transaction, d *Document) error {
		others, err := r.foreign(ctx, tx, d, kid)
		if err != nil {
			return err
		}
		var slot string
		switch held := d.find(kid); {
		case held == nil:
		case held == d.Next:
			slot, d.Next = held.Slot, nil
		case held == d.Leaving:
			slot, d.Leaving = held.Slot, nil
		}
		if err := r.putSet(ctx, tx, d, others...); err != nil {
			return err
		}
		d.left(kid, "revoked", tx.now, r.waits)
		if slot == "" {
			return nil
		}
		values := r.pointer(d.Signs)
		values[r.slot(slot).Key], values[r.slot(slot).KID] = retiredText, retiredText
		return tx.secrets(ctx, values)
	}
}

// foreign are the published keys that no rotation knows, but for one: they stay where they are.
func (r *Rotator) foreign(ctx context.Context, tx *transaction, d *Document, but string) ([]json.RawMessage, error) {
	raw, err := r.Account.KVGet(ctx, tx.view.namespace, r.jwksKey())
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, err := parseSet(raw)
	if err != nil {
		return nil, nil //nolint:nilerr // there is nothing in it to keep
	}
	var others []json.RawMessage
	for _, k := range keys {
		if k.kid != but && d.find(k.kid) == nil && d.knows(k) != nil {
			others = append(others, k.public)
		}
	}
	return others, nil
}

// refusals is how often in a row the gateway has to refuse: it has more than one place, and each has its own copy of the keys.
const refusals = 5

// Measure asks the gateway with a token of the revoked key until it is refused everywhere that answers, and says how long that took.
// measured is false when no such token could be had, or when it was still let in after the bound.
func (r *Rotator) Measure(ctx context.Context, rev *Revocation) (took time.Duration, measured bool, err error) {
	if rev.Token == nil {
		return 0, false, nil
	}
	bound := r.waits.Forget.Total() + time.Duration(r.signing.PropagationS)*time.Second
	var since time.Duration
	for inARow := 0; ; {
		in, err := r.Edge.Accepts(ctx, rev.Token.Text)
		if err != nil {
			return 0, false, err
		}
		elapsed := r.Now().Sub(rev.Since)
		if in {
			inARow = 0
		} else if inARow++; inARow == 1 {
			since = elapsed
		}
		if inARow >= refusals || elapsed > bound {
			return since, inARow >= refusals, nil
		}
		r.Say(Progress{What: "until the gateway refuses what " + short(rev.KID) + " signed", Left: max(0, bound-elapsed), Probes: 1})
		if err := r.Sleep(ctx, measureEvery); err != nil {
			return 0, false, interrupted(err)
		}
	}
}

const measureEvery = 500 * time.Millisecond
