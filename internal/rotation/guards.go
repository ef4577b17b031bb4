package rotation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

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
