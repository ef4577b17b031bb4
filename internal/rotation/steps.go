package rotation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
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

// store makes the next key and puts it into its slot, with its name in the same write. A key whose program died before it could
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

// noForeign refuses to write over keys that no rotation knows: somebody published them, and may need them.
func (r *Rotator) noForeign(ctx context.Context, tx *transaction, d *Document) error {
	raw, err := r.Account.KVGet(ctx, tx.view.namespace, r.jwksKey())
	if errors.Is(err, fault.NotFound) {
		return nil // it is about to be written
	}
	if err != nil {
		return err
	}
	keys, err := parseSet(raw)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := d.knows(k); err != nil {
			return err
		}
	}
	return nil
}

// knows is an error for a published key that is not of the document. A copy of KV may be old, so keys that left count as known.
func (d *Document) knows(k published) error {
	if held := d.find(k.kid); held != nil {
		own, err := parsePublic(held.JWK)
		if err == nil && own.modulus != k.modulus {
			return fault.New(fault.Finding, "the key set holds %s with other material than was made here", k.kid).
				WithHint("somebody wrote the key set by hand: find out who; cogctl jwks revoke %s", k.kid)
		}
		return err
	}
	if slices.ContainsFunc(d.Gone, func(g Gone) bool { return g.KID == k.kid }) {
		return nil
	}
	return fault.New(fault.Finding, "the key set holds %s, which no rotation published; nothing was changed", k.kid).
		WithHint("if nobody needs it: cogctl jwks revoke %s", k.kid)
}

// servesAll is an error while the edge does not give out every key of the document.
func (r *Rotator) servesAll(ctx context.Context, d *Document) error {
	served, err := r.Edge.Served(ctx)
	if err != nil {
		return err
	}
	if bound := time.Duration(r.Contract.Auth.JWKS.MaxAgeS) * time.Second; served.MaxAge > bound {
		return fault.New(fault.Refused, "unsafe: the key set is served with max-age %s, the contract says %s; a reader may hold the old set for longer than the wait of %s", served.MaxAge, bound, r.waits.Sign.Sum()).
			WithHint("deploy the contract's auth-svc (`cogctl up`), or find what changes the header: cogctl audit routes")
	}
	for _, h := range d.held() {
		if h.PublishedAt != nil && !slices.Contains(served.KIDs, h.KID) {
			return fault.New(fault.Inconclusive, "%s was published at %s, and the edge still serves %s; nothing was changed", short(h.KID), h.PublishedAt.Format(time.RFC3339), strings.Join(served.KIDs, ", ")).
				WithHint("KV answers with an old value for longer than the contract says; try `cogctl jwks resume` later")
		}
	}
	return nil
}

// signedBy is an error unless a token made now carries the key's name, and lives no longer than the waits assume.
func (r *Rotator) signedBy(ctx context.Context, kid string) error {
	token, err := r.Edge.Mint(ctx)
	if err != nil {
		return err
	}
	if token.KID != kid {
		return fault.New(fault.Inconclusive, "tokens are signed by %s and should be by %s; nothing was changed", token.KID, kid).
			WithHint("is the %s that is deployed the one of this contract? cogctl up; then cogctl jwks resume", r.signing.Worker)
	}
	if bound := time.Duration(r.Contract.Auth.Token.LifeS) * time.Second; token.Life > bound {
		return fault.New(fault.Refused, "unsafe: tokens live %s, the contract says %s; the key would leave after %s, and tokens it signed would still be valid", token.Life, bound, r.waits.Leave.Sum()).
			WithHint("deploy the contract's %s: cogctl up", r.signing.Worker)
	}
	return nil
}

// ready looks at everything a rotation relies on before it begins.
func (r *Rotator) ready(ctx context.Context, v *view) error {
	tx := &transaction{r: r, view: *v}
	if err := r.noForeign(ctx, tx, v.doc); err != nil {
		return err
	}
	if err := r.servesAll(ctx, v.doc); err != nil {
		return err
	}
	return r.signedBy(ctx, v.doc.Signs.KID)
}

// known looks, and adopts a platform whose keys never rotated.
func (r *Rotator) known(ctx context.Context, look func(context.Context) (view, error)) (view, error) {
	v, err := look(ctx)
	if err != nil || v.doc != nil {
		return v, err
	}
	if v.newest > 0 && !v.certain {
		return v, fault.New(fault.Inconclusive, "step %d of a rotation was taken, and KV does not show what it wrote yet", v.newest).
			WithHint("try again in %s; cogctl jwks resume waits for it", r.waits.Settle.Total())
	}
	v.doc, err = r.adopt(ctx, &v)
	return v, err
}

// adopt makes the document of a platform whose keys never rotated: one key, in the first slot.
func (r *Rotator) adopt(ctx context.Context, v *view) (*Document, error) {
	raw, err := r.Account.KVGet(ctx, v.namespace, r.jwksKey())
	if errors.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "no key is published yet").WithHint("cogctl up publishes the first")
	}
	if err != nil {
		return nil, err
	}
	keys, err := parseSet(raw)
	if err != nil {
		return nil, err
	}
	names, err := r.Account.SecretNames(ctx, r.signing.Worker)
	if err != nil {
		return nil, err
	}
	if slices.Contains(names, r.signing.Pointer) {
		return nil, fault.New(fault.Drift, "%s is set on %s, and KV has no document that says which slot it means", r.signing.Pointer, r.signing.Worker).
			WithHint("nothing was changed; put the document back (KV %s, key %s), or replace every key: cogctl jwks revoke --all", r.title(), r.documentKey())
	}
	token, err := r.Edge.Mint(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.kid == token.KID && !k.isSecret {
			d := &Document{Schema: DocumentSchema, Written: v.now, Signs: Held{KID: k.kid, Slot: contract.FirstSlot, JWK: k.public}, Gone: []Gone{}}
			return d, nil
		}
	}
	return nil, fault.New(fault.Finding, "tokens are signed by %s, which is not a public key of the key set", token.KID).WithHint("cogctl jwks show --verify")
}

// wait sleeps until a time of the API's clock, and looks at the key set meanwhile.
func (r *Rotator) wait(ctx context.Context, v view, a action) error {
	left := a.until.Sub(v.now)
	for left > 0 {
		r.probe(ctx, v.doc)
		if err := r.moved(ctx, v.doc, a.until.Add(-left)); err != nil {
			return err
		}
		r.Say(Progress{What: a.what, Until: a.until, Left: left, Probes: r.probes, Seen: r.seen})
		nap := min(left, probeEvery)
		if err := r.Sleep(ctx, nap); err != nil {
			return interrupted(err)
		}
		left -= nap
	}
	return nil
}

// moved looks once, as soon as the pointer must be everywhere, whether tokens carry the new key's name: a Worker that does not know the
// pointer is better found now than an hour later, when the old key is due to leave.
func (r *Rotator) moved(ctx context.Context, d *Document, now time.Time) error {
	everywhere := time.Duration(r.signing.PropagationS+r.signing.MarginS) * time.Second
	if r.confirmed == d.Signs.KID || d.Phase() != Signing || d.Signs.SignsFrom == nil || now.Before(d.Signs.SignsFrom.Add(everywhere)) {
		return nil
	}
	err := r.signedBy(ctx, d.Signs.KID)
	if err == nil {
		r.confirmed = d.Signs.KID
	}
	if kind := fault.KindOf(err); kind == fault.Inconclusive || kind == fault.Refused {
		return err
	}
	return nil // an edge that does not answer is asked again
}

// probeEvery is how often the key set is looked at during a wait.
const probeEvery = 10 * time.Second

// probe counts; what it finds decides nothing, so an edge that does not answer is only not counted as seen.
func (r *Rotator) probe(ctx context.Context, d *Document) {
	r.probes++
	if r.servesAll(ctx, d) == nil {
		r.seen++
	}
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
