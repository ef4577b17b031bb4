package money

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// What a stopped database may cost those who send usage: nothing that can be told from chance, and nothing of what they sent.
const (
	outage    = 30 * time.Second
	maxRatio  = 1.3
	everyPost = 20 * time.Millisecond
)

// OffPath says that a usage POST does not wait for the database: with it stopped, the 90th percentile stays within 1.3 times of
// normal, and everything that was accepted is in the ledger when it is back.
func OffPath() audit.Check {
	return audit.Check{Name: "usage-off-path", Title: "usage is taken while the database is stopped", Run: runOffPath, Judge: audit.Rejudge(judgeOffPath)}
}

// OffPathEvidence is every latency, in microseconds, and the books at the end.
type OffPathEvidence struct {
	URL      string      `json:"url"`
	At       time.Time   `json:"at"`
	Account  string      `json:"account"`
	StoppedS float64     `json:"stopped_s"`
	Normal   []int64     `json:"normal_us"`     // before and after, each as long as half the outage
	Before   int         `json:"normal_before"` // how many of them were before
	Stopped  []int64     `json:"stopped_us"`
	Statuses map[int]int `json:"statuses"`
	Accepted Books       `json:"accepted"`
	Ledger   Books       `json:"ledger"`
	BackMS   int64       `json:"back_ms"` // from the database's return to the last event
}

func runOffPath(ctx context.Context, t *audit.Target) (audit.Result, error) {
	if t.Outage == nil {
		return audit.Result{}, fault.New(fault.Unsupported, "the database of this environment is not stopped for a proof").WithHint("only this machine's is")
	}
	v, err := arrive(ctx, t)
	if err != nil {
		return audit.Result{}, err
	}
	e := OffPathEvidence{URL: t.PublicURL(usagePath), At: t.Now().UTC().Truncate(time.Second), Account: v.email, Statuses: map[int]int{}}
	var ids []string
	if err := v.steadily(ctx, outage/2, &e, &e.Normal, &ids); err != nil {
		return audit.Result{}, err
	}
	e.Before = len(e.Normal)
	if err := v.stopped(ctx, &e, &ids); err != nil {
		return audit.Result{}, err
	}
	back := time.Now()
	if err := v.steadily(ctx, outage/2, &e, &e.Normal, &ids); err != nil {
		return audit.Result{}, err
	}
	e.Accepted.Events, e.Accepted.IDs = len(ids), digest(ids)
	if err := v.returned(ctx, &e, len(ids)); err != nil {
		return audit.Result{}, err
	}
	e.BackMS = time.Since(back).Milliseconds()
	return judgeOffPath(t, e)
}

// stopped sends while the database is away, and brings it back whatever happens.
func (v visitor) stopped(ctx context.Context, e *OffPathEvidence, ids *[]string) error {
	start := time.Now()
	end, err := v.t.Outage(ctx)
	if err != nil {
		return err
	}
	sent := v.steadily(ctx, outage, e, &e.Stopped, ids)
	e.StoppedS = time.Since(start).Seconds()
	if err := end(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return sent
}

// steadily posts one after another at a steady pace, and keeps how long each took.
func (v visitor) steadily(ctx context.Context, lasting time.Duration, e *OffPathEvidence, took *[]int64, ids *[]string) error {
	tick := time.NewTicker(everyPost)
	defer tick.Stop()
	price := int64(v.t.Contract.Prices.Tokens.MicroCreditsPer1K / 1000)
	for end := time.Now().Add(lasting); time.Now().Before(end); {
		a, err := v.ask(ctx, http.MethodPost, usagePath, v.own(), map[string]any{"tokens_in": 1, "route": "/proof"})
		if err != nil {
			return err
		}
		*took = append(*took, a.took.Microseconds())
		e.Statuses[a.status]++
		var doc struct{ ID string }
		_ = json.Unmarshal(a.body, &doc)
		if a.status == http.StatusAccepted && doc.ID != "" {
			*ids = append(*ids, doc.ID)
			e.Accepted.Micro += price
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "send usage: %w", ctx.Err())
		}
	}
	return nil
}

// returned waits until the ledger has what was accepted, or the time that the contract gives a queue is over.
func (v visitor) returned(ctx context.Context, e *OffPathEvidence, n int) error {
	_, promise, err := bound(v.t, contract.FlowDrain)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Duration(promise.MaxS) * time.Second); ; {
		posted, err := v.t.Ledger.Posted(ctx, v.email)
		if err != nil {
			return err
		}
		e.Ledger = booksOf(posted)
		if e.Ledger.Events >= n || time.Now().After(deadline) {
			return nil
		}
		if err := pauseFor(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// p90 is the latency that nine of ten requests kept.
func p90(took []int64) int64 {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[(len(sorted)*9+9)/10-1]
}

// leastPosts is how many requests on either side a percentile is taken of.
const leastPosts = 200

func judgeOffPath(t *audit.Target, e OffPathEvidence) (audit.Result, error) {
	if want := t.PublicURL(usagePath); e.URL != want {
		return audit.Result{}, audit.Misfit("it is of %s, not of %s", e.URL, want)
	}
	if err := t.Recent(e.At); err != nil {
		return audit.Result{}, err
	}
	if e.Before < 0 || e.Before > len(e.Normal) {
		return audit.Result{}, audit.Misfit("%d of %d requests cannot have come before the outage", e.Before, len(e.Normal))
	}
	normal, stopped := p90(e.Normal), p90(e.Stopped)
	slower := max(p90(e.Normal[:e.Before]), p90(e.Normal[e.Before:]))
	var found []audit.Finding
	if sent := len(e.Normal) + len(e.Stopped); e.Accepted.Events != sent || e.Statuses[http.StatusAccepted] != sent {
		found = append(found, finding("usage_refused", e.URL, fmt.Sprintf("%d of %d accepted, %v", e.Accepted.Events, sent, e.Statuses), "every one 202", "usage was not accepted"))
	}
	if e.Ledger != e.Accepted {
		found = append(found, finding("usage_not_exact", e.URL, fmt.Sprintf("%d events of %d micro-credits", e.Ledger.Events, e.Ledger.Micro),
			fmt.Sprintf("the %d that were accepted, of %d", e.Accepted.Events, e.Accepted.Micro), "the ledger does not have exactly what was accepted"))
	}
	if float64(stopped) > maxRatio*float64(slower) {
		found = append(found, finding("usage_waits", e.URL, fmt.Sprintf("P90 %d µs", stopped), fmt.Sprintf("at most %.1f times of %d µs", maxRatio, slower), "usage waits for the database"))
	}
	summary := fmt.Sprintf("P90 %.1f ms with the database stopped for %.0f s, %.1f ms else; %d events, nothing lost", float64(stopped)/1000, e.StoppedS, float64(normal)/1000, e.Ledger.Events)
	if len(e.Normal) < leastPosts || len(e.Stopped) < leastPosts || e.StoppedS < outage.Seconds() {
		return audit.Undecided("too few requests, or too short an outage, to tell: "+summary, e), nil
	}
	if len(found) == 0 && float64(stopped) > maxRatio*float64(normal) {
		return audit.Undecided(fmt.Sprintf("the machine is not steady enough to tell: the slower half of normal is %.1f ms; ", float64(slower)/1000)+summary, e), nil
	}
	return audit.Conclude(summary, found, e), nil
}
