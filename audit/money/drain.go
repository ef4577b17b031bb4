package money

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Drain says that a burst of usage is in the ledger, each event once and for its price, and that the queue is empty in time.
func Drain(burst int) audit.Check {
	return audit.Check{
		Name: "usage-drain", Title: "a burst of usage is in the ledger once", Judge: audit.Rejudge(judgeDrain),
		Run: func(ctx context.Context, t *audit.Target) (audit.Result, error) { return runDrain(ctx, t, burst) },
	}
}

// Books is what a set of events comes to: how many, what they cost in micro-credits, and a digest of their sorted ids.
type Books struct {
	Events int    `json:"events"`
	Micro  int64  `json:"micro"`
	IDs    string `json:"ids_sha256"`
}

// DrainEvidence is what was accepted, and what the ledger had at the end.
type DrainEvidence struct {
	URL      string      `json:"url"`
	At       time.Time   `json:"at"`
	Account  string      `json:"account"`
	Sent     int         `json:"sent"`
	Statuses map[int]int `json:"statuses"`
	SentMS   int64       `json:"sent_ms"` // how long the burst took
	Accepted Books       `json:"accepted"`
	Ledger   Books       `json:"ledger"`
	Backlog  int64       `json:"backlog"`
	DrainMS  int64       `json:"drain_ms"` // from the last answer to the last event
}

const senders = 16

func runDrain(ctx context.Context, t *audit.Target, burst int) (audit.Result, error) {
	_, promise, err := bound(t, contract.FlowDrain)
	if err != nil {
		return audit.Result{}, err
	}
	v, err := arrive(ctx, t)
	if err != nil {
		return audit.Result{}, err
	}
	e := DrainEvidence{URL: t.PublicURL(usagePath), At: t.Now().UTC().Truncate(time.Second), Account: v.email, Sent: burst}
	start := time.Now()
	ids, err := v.burst(ctx, &e)
	if err != nil {
		return audit.Result{}, err
	}
	e.SentMS = time.Since(start).Milliseconds()
	if err := v.drained(ctx, &e, ids, time.Duration(promise.MaxS)*time.Second); err != nil {
		return audit.Result{}, err
	}
	return judgeDrain(t, e)
}

// tokens are what the i-th event of a burst used: the sum of the prices is then known, and no two neighbours cost the same.
func tokens(i int) int { return 1 + i%97 }

func (v visitor) burst(ctx context.Context, e *DrainEvidence) (ids []string, err error) {
	var mu sync.Mutex
	e.Statuses = map[int]int{}
	price := int64(v.t.Contract.Prices.Tokens.MicroCreditsPer1K / 1000)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(senders)
	for i := range e.Sent {
		g.Go(func() error {
			a, err := v.ask(ctx, http.MethodPost, usagePath, v.own(), map[string]any{"tokens_in": tokens(i), "route": "/proof"})
			if err != nil {
				return err
			}
			var doc struct{ ID string }
			_ = json.Unmarshal(a.body, &doc)
			mu.Lock()
			defer mu.Unlock()
			e.Statuses[a.status]++
			if a.status == http.StatusAccepted && doc.ID != "" {
				ids = append(ids, doc.ID)
				e.Accepted.Micro += price * int64(tokens(i))
			}
			return nil
		})
	}
	err = g.Wait()
	e.Accepted.Events, e.Accepted.IDs = len(ids), digest(ids)
	return ids, err
}

// digest names a set of ids, whatever their order.
func digest(ids []string) string {
	sorted := slices.Sorted(slices.Values(ids))
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
	return hex.EncodeToString(sum[:])
}

// booksOf adds up what the journal has.
func booksOf(posted []audit.Posting) Books {
	b := Books{Events: len(posted)}
	ids := make([]string, 0, len(posted))
	for _, p := range posted {
		ids, b.Micro = append(ids, p.ID), b.Micro+p.Micro
	}
	b.IDs = digest(ids)
	return b
}

// drained waits until the ledger has as many events of the account as were accepted and the queue is empty, or the time is over.
func (v visitor) drained(ctx context.Context, e *DrainEvidence, ids []string, within time.Duration) error {
	queue, err := v.queue(ctx)
	if err != nil {
		return err
	}
	for start := time.Now(); ; {
		posted, err := v.t.Ledger.Posted(ctx, v.email)
		if err != nil {
			return err
		}
		e.Ledger = booksOf(posted)
		backlog, err := v.t.API.QueueBacklog(ctx, queue)
		if err != nil {
			return err
		}
		e.Backlog, e.DrainMS = backlog.Messages, time.Since(start).Milliseconds()
		if len(posted) >= len(ids) && e.Backlog == 0 || time.Since(start) > within {
			return nil
		}
		if err := pauseFor(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func (v visitor) queue(ctx context.Context) (string, error) {
	_, promise, err := bound(v.t, contract.FlowDrain)
	if err != nil {
		return "", err
	}
	queues, err := v.t.API.Queues(ctx)
	if err != nil {
		return "", err
	}
	for _, q := range queues {
		if q.Name == v.t.Contract.Stores[promise.Store].Name {
			return q.ID, nil
		}
	}
	return "", fault.New(fault.NotFound, "the account has no queue %s", v.t.Contract.Stores[promise.Store].Name).WithHint("cogctl up")
}

func judgeDrain(t *audit.Target, e DrainEvidence) (audit.Result, error) {
	if want := t.PublicURL(usagePath); e.URL != want {
		return audit.Result{}, audit.Misfit("it is of %s, not of %s", e.URL, want)
	}
	if err := t.Recent(e.At); err != nil {
		return audit.Result{}, err
	}
	id, promise, err := bound(t, contract.FlowDrain)
	if err != nil {
		return audit.Result{}, err
	}
	var found []audit.Finding
	if e.Sent == 0 || e.Accepted.Events != e.Sent || e.Statuses[http.StatusAccepted] != e.Sent {
		found = append(found, finding("usage_refused", e.URL, fmt.Sprintf("%d of %d accepted, %v", e.Accepted.Events, e.Sent, e.Statuses), "every one 202", "usage was not accepted"))
	}
	if e.Ledger != e.Accepted {
		found = append(found, finding("usage_not_exact", e.URL, fmt.Sprintf("%d events of %d micro-credits", e.Ledger.Events, e.Ledger.Micro),
			fmt.Sprintf("the %d that were accepted, of %d", e.Accepted.Events, e.Accepted.Micro), "the ledger does not have exactly what was accepted"))
	}
	if e.Backlog > 0 || e.DrainMS > int64(promise.MaxS)*1000 {
		found = append(found, finding("queue_late", e.URL, fmt.Sprintf("%d waiting after %d ms", e.Backlog, e.DrainMS), fmt.Sprintf("empty within %d s (%s)", promise.MaxS, id), "the queue did not drain in time"))
	}
	return audit.Conclude(fmt.Sprintf("%d events, %d micro-credits, each once; drained %.1f s after the last", e.Ledger.Events, e.Ledger.Micro, float64(e.DrainMS)/1000), found, e), nil
}
