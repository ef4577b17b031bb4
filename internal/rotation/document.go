package rotation

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// DocumentSchema names the form of the document.
const DocumentSchema = "cognomega/rotation/v1"

// Document is how far a rotation is. It lies beside the keys it is about, and holds nothing that nobody may see.
type Document struct {
	Schema   string    `json:"schema"`
	Version  int       `json:"version"` // that of the ticket it was written under
	Rotation int       `json:"rotation"`
	Owner    string    `json:"owner"` // who wrote it, for people
	Written  time.Time `json:"written_at"`
	Signs    Held      `json:"signs"`
	Next     *Held     `json:"next,omitempty"`     // shall sign
	Leaving  *Held     `json:"leaving,omitempty"`  // signed before, and what it signed may still be valid
	Revoking string    `json:"revoking,omitempty"` // the key that has to go without waiting
	Gone     []Gone    `json:"gone"`               // newest first
}

// Held is a key that is in use, was, or shall be. Times are those of the API.
type Held struct {
	KID         string          `json:"kid,omitempty"` // none: a slot is chosen, and no key is made yet
	Slot        string          `json:"slot,omitempty"`
	JWK         json.RawMessage `json:"jwk,omitempty"`
	BegunAt     *time.Time      `json:"begun_at,omitempty"`
	StoredAt    *time.Time      `json:"stored_at,omitempty"`
	PublishedAt *time.Time      `json:"published_at,omitempty"`
	SignsAfter  *time.Time      `json:"signs_after,omitempty"` // not before
	SignsFrom   *time.Time      `json:"signs_from,omitempty"`
	LeavesAfter *time.Time      `json:"leaves_after,omitempty"` // not before
	LeavesBy    *time.Time      `json:"leaves_by,omitempty"`    // not later, with somebody at it
}

// Gone is a key that left the key set.
type Gone struct {
	KID         string    `json:"kid"`
	Why         string    `json:"why"` // rotated, revoked, abandoned
	At          time.Time `json:"at"`
	ForgottenBy time.Time `json:"forgotten_by"` // when no reader has it any more
}

// keptGone is how many keys that left are remembered: an old copy of the key set may still name them.
const keptGone = 16

// Phase says in a word how far a document is.
type Phase string

// The phases, in order.
const (
	Stable    Phase = "stable"    // one key, and nothing to do
	Begun     Phase = "begun"     // a slot is chosen
	Stored    Phase = "stored"    // the next key is in its slot
	Published Phase = "published" // the next key is in the key set and may not sign yet
	Signing   Phase = "signing"   // the next key signs, the one before it is still in the key set
)

// Phase is derived from which keys there are.
func (d *Document) Phase() Phase {
	switch {
	case d.Next != nil && d.Next.PublishedAt != nil:
		return Published
	case d.Next != nil && d.Next.StoredAt != nil:
		return Stored
	case d.Next != nil:
		return Begun
	case d.Leaving != nil:
		return Signing
	default:
		return Stable
	}
}

// set is the key set that the document says is published, with others that stay in it.
func (d *Document) set(others ...json.RawMessage) ([]byte, error) {
	keys := []json.RawMessage{d.Signs.JWK}
	if d.Next != nil && d.Next.PublishedAt != nil {
		keys = append(keys, d.Next.JWK)
	}
	if d.Leaving != nil {
		keys = append(keys, d.Leaving.JWK)
	}
	return Set(append(keys, others...)...)
}

// held lists the keys of the document with their places in it.
func (d *Document) held() []*Held {
	all := []*Held{&d.Signs}
	for _, h := range []*Held{d.Next, d.Leaving} {
		if h != nil && h.KID != "" {
			all = append(all, h)
		}
	}
	return all
}

func (d *Document) find(kid string) *Held {
	for _, h := range d.held() {
		if h.KID == kid {
			return h
		}
	}
	return nil
}

// left notes that a key is out of the key set.
func (d *Document) left(kid, why string, at time.Time, w Waits) {
	if kid == "" {
		return
	}
	d.Gone = slices.Insert(d.Gone, 0, Gone{KID: kid, Why: why, At: at, ForgottenBy: at.Add(w.Forget.Total())})
	d.Gone = d.Gone[:min(len(d.Gone), keptGone)]
}

// clone is a copy to change: a step that fails must leave the document as it was.
func (d *Document) clone() *Document {
	c := *d
	for _, h := range []**Held{&c.Next, &c.Leaving} {
		if *h != nil {
			same := **h
			*h = &same
		}
	}
	c.Gone = slices.Clone(d.Gone)
	return &c
}

func (d *Document) encode() ([]byte, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode the rotation's document: %w", err)
	}
	return raw, nil
}

// Parse reads a document. One that is half written, or not ours, is refused: nothing may be done on the word of it.
func Parse(raw []byte, s contract.Signing) (*Document, error) {
	var d Document
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(&d)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = fault.New(fault.Invalid, "something follows it")
		}
	}
	if err == nil {
		err = d.check(s)
	}
	if err != nil {
		return nil, fault.New(fault.Drift, "the rotation's document in KV cannot be used: %v", err).
			WithHint("nothing was changed, and the keys serve on; put the document back, or replace every key: cogctl jwks revoke --all")
	}
	return &d, nil
}

func (d *Document) check(s contract.Signing) error {
	bad := func(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }
	if d.Schema != DocumentSchema {
		return bad("its schema is %.40q, not %s", d.Schema, DocumentSchema)
	}
	if d.Version < 1 || d.Written.IsZero() || d.Signs.Slot == "" {
		return bad("it says no version, no time or no slot")
	}
	slots, kids := map[string]bool{}, map[string]bool{}
	for _, h := range []*Held{&d.Signs, d.Next, d.Leaving} {
		if h == nil {
			continue
		}
		if _, known := s.Slots[h.Slot]; h.Slot != "" && (!known || slots[h.Slot]) {
			return bad("it names slot %.20q twice, or one that the contract does not have", h.Slot)
		}
		if h.KID != "" && kids[h.KID] {
			return bad("it names key %.60q twice", h.KID)
		}
		slots[h.Slot], kids[h.KID] = h.Slot != "", true
		if err := h.check(h == d.Next); err != nil {
			return err
		}
	}
	if d.Next != nil && d.Next.Slot == "" {
		return bad("the next key has no slot")
	}
	if d.Leaving != nil && (d.Leaving.LeavesAfter == nil || d.Leaving.LeavesBy == nil) {
		return bad("a key leaves at no time")
	}
	if d.Next != nil && d.Next.PublishedAt != nil && d.Next.SignsAfter == nil {
		return bad("a published key signs at no time")
	}
	return nil
}

func (h *Held) check(next bool) error {
	if next && h.KID == "" && h.StoredAt == nil && h.PublishedAt == nil {
		return nil // a slot is chosen, no more
	}
	p, err := parsePublic(h.JWK)
	if err != nil || p.isSecret || h.KID == "" || p.kid != h.KID || p.modulus == "" {
		return fault.New(fault.Invalid, "key %.60q is not a public key of that name", h.KID)
	}
	return nil
}
