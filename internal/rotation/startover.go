package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// RevokeAll replaces every key by a new one, whatever the document says, and also when it cannot be read: the way out that is left
// when it is lost. Slot, name and pointer are set in one version of the Worker, so it does not matter which slot was in use.
func (r *Rotator) RevokeAll(ctx context.Context) (*Revocation, error) {
	v, err := r.quiet(ctx)
	if err != nil {
		return nil, err
	}
	rev := &Revocation{Role: "all"}
	if token, err := r.sample(ctx); err == nil { // without one the exposure is not measured
		rev.Token, rev.KID = &token, token.KID
	}
	v.doc = &Document{Version: v.version()}
	doc, err := r.take(ctx, v, action{name: stepStartOver, step: r.startOver})
	if err == nil && doc == nil {
		err = fault.New(fault.Conflict, "another program took a step in this moment").WithHint("run it again")
	}
	if err != nil {
		return rev, err
	}
	rev.Document, rev.Steps, rev.Since, rev.Done = doc, []string{stepStartOver}, r.Now(), true
	r.Say(Progress{What: doc.Describe(stepStartOver), Step: true})
	return rev, nil
}

// quiet waits until no other program can be in the middle of a step. It makes do without a document.
func (r *Rotator) quiet(ctx context.Context) (view, error) {
	var since time.Time
	for {
		v, err := r.look(ctx)
		if lost := errors.Is(err, fault.Drift); err != nil && !lost || err == nil && v.certain {
			return v, err
		}
		if v.doc = nil; since.IsZero() {
			since = v.now
		}
		left := r.waits.Settle.Total() - v.now.Sub(since)
		if left <= 0 {
			return v, nil
		}
		r.Say(Progress{What: fmt.Sprintf("until no other program can be in the middle of step %d", v.newest), Until: v.now.Add(left), Left: left})
		if err := r.Sleep(ctx, min(left, pollEvery)); err != nil {
			return v, interrupted(err)
		}
	}
}

// startOver makes the state of a platform with one key. The slots come first: a key that is published and lies in no slot would leave
// nobody able to sign, a key that signs and is not published yet is published by the next write.
func (r *Rotator) startOver(ctx context.Context, tx *transaction, d *Document) error {
	key, err := r.NewKey()
	if err != nil {
		return err
	}
	signs := Held{KID: key.KID, Slot: contract.FirstSlot, JWK: key.JWK(), StoredAt: at(tx.now)}
	values := r.pointer(signs)
	for name, slot := range r.signing.Slots {
		values[slot.Key], values[slot.KID] = retiredText, retiredText
		if name == signs.Slot {
			values[slot.Key], values[slot.KID] = key.PEM(), key.KID
		}
	}
	gone, err := r.publishedNow(ctx, tx)
	if err != nil {
		return err
	}
	if err := tx.secrets(ctx, values); err != nil {
		return err
	}
	*d = Document{Signs: signs, Gone: []Gone{}}
	if err := r.putSet(ctx, tx, d); err != nil {
		return err
	}
	done, err := tx.clock(ctx)
	if err != nil {
		return err
	}
	d.Signs.PublishedAt, d.Signs.SignsFrom = at(done), at(done)
	for _, k := range gone {
		d.left(k.kid, "revoked", done, r.waits)
	}
	return nil
}

// publishedNow are the keys of the key set, as far as it can be read.
func (r *Rotator) publishedNow(ctx context.Context, tx *transaction) ([]published, error) {
	raw, err := r.Account.KVGet(ctx, tx.view.namespace, r.jwksKey())
	if err != nil && !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	keys, err := parseSet(raw)
	if err != nil {
		return nil, nil //nolint:nilerr // there is nothing in it to remember
	}
	return keys, nil
}
