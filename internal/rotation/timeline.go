package rotation

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// Event is a point of a rotation's timeline.
type Event struct {
	At      time.Time `json:"at"`
	Event   string    `json:"event"` // publish, sign, leave, forgotten
	KID     string    `json:"kid"`   // "next" while it is not made
	State   string    `json:"state"` // done, due, waiting, planned
	Because string    `json:"because,omitempty"`
	Terms   []Reason  `json:"terms,omitempty"` // of the wait before it
}

// Reason is a term of a wait, for programs.
type Reason struct {
	Name string `json:"name"`
	MS   int64  `json:"ms"`
}

// KeyState is one key with its place and its times.
type KeyState struct {
	KID         string     `json:"kid"`
	State       string     `json:"state"` // signs, next, leaving, rotated, revoked, abandoned
	Slot        string     `json:"slot,omitempty"`
	PublishedAt *time.Time `json:"published_at,omitempty"`
	SignsAfter  *time.Time `json:"signs_after,omitempty"`
	SignsFrom   *time.Time `json:"signs_from,omitempty"`
	LeavesAfter *time.Time `json:"leaves_after,omitempty"`
	LeavesBy    *time.Time `json:"leaves_by,omitempty"`
	LeftAt      *time.Time `json:"left_at,omitempty"`
	ForgottenBy *time.Time `json:"forgotten_by,omitempty"`
}

// Status is where the environment's keys are, as data: what is drawn is drawn from it.
type Status struct {
	At        time.Time  `json:"at"` // by the API's clock
	Phase     Phase      `json:"phase"`
	Rotation  int        `json:"rotation"` // how many began so far
	Version   int        `json:"version"`
	Ticket    int        `json:"ticket"` // above version: a step is under way, or a program died in one
	Owner     string     `json:"owner,omitempty"`
	WrittenAt *time.Time `json:"written_at,omitempty"`
	Revoking  string     `json:"revoking,omitempty"`
	Overdue   bool       `json:"overdue"` // a step is due, and nobody takes it
	Keys      []KeyState `json:"keys"`
	Timeline  []Event    `json:"timeline"`
}

// Status reads where the rotation is. Before the first one it asks the platform which key signs.
func (r *Rotator) Status(ctx context.Context) (*Status, error) {
	v, err := r.known(ctx, r.look)
	if err != nil {
		return nil, err
	}
	s := r.status(v)
	s.Timeline = r.timeline(v.doc, v.now, false)
	return s, nil
}

// Plan looks at everything that Rotate would, changes nothing, and says when what would happen.
func (r *Rotator) Plan(ctx context.Context) (*Status, error) {
	v, err := r.known(ctx, r.look)
	if err != nil {
		return nil, err
	}
	if v.doc.Phase() == Stable {
		if err := r.ready(ctx, &v); err != nil {
			return nil, err
		}
	}
	s := r.status(v)
	s.Timeline = r.timeline(v.doc, v.now, true)
	return s, nil
}

func (r *Rotator) status(v view) *Status {
	d := v.doc
	s := &Status{At: v.now, Phase: d.Phase(), Rotation: d.Rotation, Version: d.Version, Ticket: v.newest, Owner: d.Owner, Revoking: d.Revoking, Overdue: r.overdue(v)}
	if d.Version > 0 {
		s.WrittenAt = at(d.Written)
	}
	s.Keys = append(s.Keys, stateOf(d.Signs, "signs"))
	if d.Next != nil && d.Next.KID != "" {
		s.Keys = append(s.Keys, stateOf(*d.Next, "next"))
	}
	if d.Leaving != nil {
		s.Keys = append(s.Keys, stateOf(*d.Leaving, "leaving"))
	}
	for _, g := range d.Gone {
		s.Keys = append(s.Keys, KeyState{KID: g.KID, State: g.Why, LeftAt: at(g.At), ForgottenBy: at(g.ForgottenBy)})
	}
	return s
}

func stateOf(h Held, state string) KeyState {
	return KeyState{
		KID: h.KID, State: state, Slot: h.Slot, PublishedAt: h.PublishedAt, SignsAfter: h.SignsAfter, SignsFrom: h.SignsFrom,
		LeavesAfter: h.LeavesAfter, LeavesBy: h.LeavesBy,
	}
}

// overdue is true when the next step has been due for longer than a program at work would take.
func (r *Rotator) overdue(v view) bool {
	a := r.next(v, plan{})
	if a.step == nil {
		return false
	}
	since := v.doc.Written
	if d := v.doc; d.Phase() == Published {
		since = *d.Next.SignsAfter
	} else if d.Phase() == Signing {
		since = *d.Leaving.LeavesAfter
	}
	return v.now.After(since.Add(r.waits.Settle.Total()))
}

// timeline lists the events of the rotation that is under way, or of the last one; planned adds one that begins now.
func (r *Rotator) timeline(d *Document, now time.Time, planned bool) []Event {
	events := []Event{}
	add := func(when time.Time, event, kid string, done bool, w Wait) {
		e := Event{At: when.UTC().Truncate(time.Second), Event: event, KID: kid, State: "planned"}
		switch {
		case done:
			e.State = "done"
		case d.Phase() != Stable && !when.After(now):
			e.State = "due"
		case d.Phase() != Stable:
			e.State = "waiting"
		}
		if len(w.Terms) > 0 {
			e.Because = w.Sum()
		}
		for _, t := range w.Terms {
			e.Terms = append(e.Terms, Reason{t.Name, t.For.Milliseconds()})
		}
		events = append(events, e)
	}
	switch phase := d.Phase(); {
	case phase == Stable && !planned:
		r.past(d, add)
	case phase == Signing:
		add(*d.Signs.SignsFrom, "sign", d.Signs.KID, true, Wait{})
		r.ending(d.Leaving.KID, *d.Leaving.LeavesAfter, add)
	default:
		kid, publish, done := "next", now, false
		if d.Next != nil && d.Next.KID != "" {
			kid = d.Next.KID
		}
		if phase == Published {
			publish, done = *d.Next.PublishedAt, true
		}
		sign := publish.Add(r.signWait())
		if phase == Published {
			sign = *d.Next.SignsAfter
		}
		add(publish, "publish", kid, done, Wait{})
		add(sign, "sign", kid, false, r.waits.Sign)
		r.ending(d.Signs.KID, sign.Add(r.leaveWait()), add)
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	return events
}

func (r *Rotator) ending(kid string, leaves time.Time, add func(time.Time, string, string, bool, Wait)) {
	add(leaves, "leave", kid, false, r.waits.Leave)
	add(leaves.Add(r.waits.Forget.Total()), "forgotten", kid, false, r.waits.Forget)
}

// past is the last rotation, as far as the document tells.
func (r *Rotator) past(d *Document, add func(time.Time, string, string, bool, Wait)) {
	if d.Signs.PublishedAt != nil {
		add(*d.Signs.PublishedAt, "publish", d.Signs.KID, true, Wait{})
	}
	if d.Signs.SignsFrom != nil {
		add(*d.Signs.SignsFrom, "sign", d.Signs.KID, true, Wait{})
	}
	if len(d.Gone) > 0 {
		add(d.Gone[0].At, "leave", d.Gone[0].KID, true, Wait{})
	}
}

// Problem is something about the keys that is not as it should be.
type Problem struct {
	Code    string
	KID     string
	Message string
	Hint    string
}

// Verify holds the document, what KV holds, what the edge serves and what signs against each other.
func (r *Rotator) Verify(ctx context.Context) (*Status, []Problem, error) {
	v, err := r.known(ctx, r.look)
	if err != nil {
		return nil, nil, err
	}
	s := r.status(v)
	s.Timeline = r.timeline(v.doc, v.now, false)
	var problems []Problem
	note := func(code, kid string, err error) {
		if err != nil {
			problems = append(problems, Problem{code, kid, err.Error(), fault.HintOf(err)})
		}
	}
	tx := &transaction{r: r, view: v}
	note("jwks_foreign_key", "", r.noForeign(ctx, tx, v.doc))
	note("jwks_not_served", "", r.servesAll(ctx, v.doc))
	if err := r.servesNone(ctx, v); err != nil {
		note("jwks_key_stays", "", err)
	}
	signed := r.signedBy(ctx, v.doc.Signs.KID)
	if fault.KindOf(signed) == fault.Unavailable || fault.KindOf(signed) == fault.Denied {
		return s, problems, signed
	}
	note("signer", v.doc.Signs.KID, signed)
	if s.Overdue {
		note("rotation_overdue", "", fault.New(fault.Finding, "the rotation stands: its next step has been due since %s", v.doc.Written.Format(time.RFC3339)).WithHint("cogctl jwks resume"))
	}
	return s, problems, nil
}

// servesNone is an error while the edge gives out a key that left, after the time by which every reader has dropped it.
func (r *Rotator) servesNone(ctx context.Context, v view) error {
	served, err := r.Edge.Served(ctx)
	if err != nil {
		return nil //nolint:nilerr // servesAll has said so
	}
	var errs []error
	for _, g := range v.doc.Gone {
		if v.now.After(g.ForgottenBy) && slices.Contains(served.KIDs, g.KID) {
			errs = append(errs, fault.New(fault.Finding, "%s left the key set at %s and is still served", g.KID, g.At.Format(time.RFC3339)).WithHint("cogctl jwks revoke %s", g.KID))
		}
	}
	return errors.Join(errs...)
}
