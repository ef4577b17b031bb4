package rotation

import (
	"context"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

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
