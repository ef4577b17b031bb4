package rotation

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// The steps by name.
const (
	stepBegin   = "begin"
	stepStore   = "store"
	stepPublish = "publish"
	stepSign    = "sign"
	stepLeave   = "leave"
	stepReplace = "replace"
	stepRevoke  = "revoke"
	stepDrop    = "drop"

	stepStartOver = "start over"
)

// retiredText is what a slot holds whose key is gone: a name stays bound, and a key does not lie about.
const retiredText = "retired"

// action is the next step, or how long to wait for it.
type action struct {
	name  string
	step  func(context.Context, *transaction, *Document) error
	until time.Time
	what  string // is waited for
}

// next decides from the document alone. Steps can be repeated: a program that died may have taken any part of one.
func (r *Rotator) next(v view, p plan) action {
	d := v.doc
	switch d.Phase() {
	case Begun:
		return action{name: stepStore, step: r.store}
	case Stored, Published:
		if d.Revoking == d.Signs.KID {
			return action{name: stepReplace, step: r.replace}
		}
		if d.Phase() == Stored {
			return action{name: stepPublish, step: r.publish}
		}
		return due(v.now, *d.Next.SignsAfter, action{name: stepSign, step: r.sign, what: "waiting until " + short(d.Next.KID) + " may sign"})
	case Signing:
		return due(v.now, *d.Leaving.LeavesAfter, action{name: stepLeave, step: r.leave, what: "waiting until nothing that " + short(d.Leaving.KID) + " signed is valid"})
	case Stable:
		if p.begin && d.Signs.KID == p.from {
			return action{name: stepBegin, step: r.begin}
		}
	}
	return action{}
}

func due(now, at time.Time, a action) action {
	if now.Before(at) {
		return action{until: at, what: a.what}
	}
	return a
}

// short is enough of a key's name to recognise it.
func short(kid string) string {
	if len(kid) > 12 {
		return kid[:8] + "…"
	}
	return kid
}

// begin chooses the slot and says that a rotation is under way.
func (r *Rotator) begin(_ context.Context, tx *transaction, d *Document) error {
	d.Rotation++
	d.Next = &Held{Slot: r.otherSlot(d.Signs.Slot), BegunAt: at(tx.now)}
	return nil
}

// say so was never published: the one made here takes its place.
func (r *Rotator) store(ctx context.Context, tx *transaction, d *Document) error {
	key, err := r.NewKey()
	if err != nil {
		return err
	}
	slot := r.slot(d.Next.Slot)
	if err := tx.secrets(ctx, map[string]string{slot.Key: key.PEM(), slot.KID: key.KID}); err != nil {
		return err
	}
	d.Next.KID, d.Next.JWK, d.Next.StoredAt = key.KID, key.JWK(), at(tx.now)
	return nil
}

// publish puts the next key beside the one that signs. Its wait counts from when the write was acknowledged.
func (r *Rotator) publish(ctx context.Context, tx *transaction, d *Document) error {
	if err := r.noForeign(ctx, tx, d); err != nil {
		return err
	}
	d.Next.PublishedAt = at(tx.now)
	if err := r.putSet(ctx, tx, d); err != nil {
		return err
	}
	done, err := tx.clock(ctx)
	if err != nil {
		return err
	}
	d.Next.PublishedAt, d.Next.SignsAfter = at(done), at(done.Add(r.signWait()))
	return nil
}

// sign moves the pointer. The edge must have been seen to give out the next key: no arithmetic is believed against that.
func (r *Rotator) sign(ctx context.Context, tx *transaction, d *Document) error {
	if err := r.servesAll(ctx, d); err != nil {
		return err
	}
	if err := tx.secrets(ctx, r.pointer(*d.Next)); err != nil {
		return err
	}
	done, err := tx.clock(ctx)
	if err != nil {
		return err
	}
	old := d.Signs
	old.LeavesAfter = at(done.Add(r.leaveWait()))
	old.LeavesBy = at(old.LeavesAfter.Add(r.waits.Settle.Total()))
	d.Signs, d.Next, d.Leaving = *d.Next, nil, &old
	d.Signs.SignsFrom = at(done)
	return nil
}

// leave takes the old key out of the key set, and then out of its slot. Tokens must have been seen to carry the new key's name.
func (r *Rotator) leave(ctx context.Context, tx *transaction, d *Document) error {
	if err := r.signedBy(ctx, d.Signs.KID); err != nil {
		return err
	}
	if err := r.noForeign(ctx, tx, d); err != nil {
		return err
	}
	old := *d.Leaving
	d.Leaving = nil
	if err := r.putSet(ctx, tx, d); err != nil {
		return err
	}
	d.left(old.KID, "rotated", tx.now, r.waits)
	return r.empty(ctx, tx, old.Slot)
}

// replace takes the signing key away at once. The slot, the key set and the pointer are each written whole.
func (r *Rotator) replace(ctx context.Context, tx *transaction, d *Document) error {
	gone := d.Signs
	others, err := r.foreign(ctx, tx, d, gone.KID)
	if err != nil {
		return err
	}
	d.Signs, d.Next, d.Revoking = *d.Next, nil, ""
	if err := r.putSet(ctx, tx, d, others...); err != nil {
		return err
	}
	values := r.pointer(d.Signs)
	if gone.Slot != "" && gone.Slot != d.Signs.Slot {
		values[r.slot(gone.Slot).Key], values[r.slot(gone.Slot).KID] = retiredText, retiredText
	}
	if err := tx.secrets(ctx, values); err != nil {
		return err
	}
	done, err := tx.clock(ctx)
	if err != nil {
		return err
	}
	d.Signs.PublishedAt, d.Signs.SignsAfter, d.Signs.SignsFrom = at(done), at(done), at(done)
	d.left(gone.KID, "revoked", done, r.waits)
	return nil
}

func (r *Rotator) pointer(h Held) map[string]string {
	return map[string]string{r.signing.Pointer: h.Slot + ":" + h.KID}
}

// empty writes over a slot whose key has no use any more.
func (r *Rotator) empty(ctx context.Context, tx *transaction, slot string) error {
	if slot == "" {
		return nil
	}
	return tx.secrets(ctx, map[string]string{r.slot(slot).Key: retiredText, r.slot(slot).KID: retiredText})
}

func (r *Rotator) putSet(ctx context.Context, tx *transaction, d *Document, others ...json.RawMessage) error {
	set, err := d.set(others...)
	if err != nil {
		return err
	}
	return tx.put(ctx, r.jwksKey(), set)
}

func at(t time.Time) *time.Time { return &t }

// Describe says in words what a step did.
func (d *Document) Describe(step string) string {
	switch step {
	case stepBegin:
		return fmt.Sprintf("rotation %d began: the next key goes into slot %s", d.Rotation, d.Next.Slot)
	case stepStore:
		return fmt.Sprintf("%s is in slot %s", short(d.Next.KID), d.Next.Slot)
	case stepPublish:
		return fmt.Sprintf("%s is published beside %s", short(d.Next.KID), short(d.Signs.KID))
	case stepSign:
		return short(d.Signs.KID) + " signs"
	case stepLeave:
		return "the old key has left the key set and its slot"
	case stepReplace:
		return short(d.Signs.KID) + " is published and signs"
	case stepRevoke:
		return short(d.Revoking) + " has to go; its successor goes into slot " + d.Next.Slot
	case stepStartOver:
		return short(d.Signs.KID) + " signs, and no other key is published"
	case stepDrop:
		return short(d.Gone[0].KID) + " is out of the key set"
	default:
		return step
	}
}
