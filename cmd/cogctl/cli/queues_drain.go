package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// Figures of waiting for a queue to empty.
const (
	drainEvery  = time.Second      // how often the backlog is read
	drainWindow = 30 * time.Second // over which the rate is taken
	drainEmpty  = 2                // how many readings in a row must say empty: Cloudflare's figures lag behind events
)

type drainResult struct {
	Queue   string  `json:"queue"`
	Empty   bool    `json:"empty"`
	Started int64   `json:"messages_at_start"`
	Left    int64   `json:"messages_left"`
	TookMS  int64   `json:"took_ms"`
	Rate    float64 `json:"fewer_per_second"`
}

func newQueuesDrain(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "drain QUEUE", Short: "Wait until a queue is empty, showing how fast it empties and when it will be", Args: cobra.ExactArgs(1),
		Long: "Wait until a queue is empty, showing how fast it empties and when it will be. It takes nothing itself: the queue's consumer does. " +
			"With --timeout it gives up after so long (exit 4).",
		Example:           "  cogctl queues drain usage-events\n  cogctl queues drain usage-events --timeout 2m -o json",
		ValidArgsFunction: d.completeQueue,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := runQueuesDrain(cmd.Context(), d, args[0])
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/queues.drain/v1", Data: r, Blocks: drainBlocks(r)}); err != nil {
				return err
			}
			if !r.Empty {
				return fault.Inconclusive
			}
			return nil
		},
	}
}

func runQueuesDrain(ctx context.Context, d *Deps, name string) (*drainResult, error) {
	s, err := d.queueSet(ctx)
	if err != nil {
		return nil, err
	}
	q, err := s.find(name)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Settings.DeliveryPaused:
		return nil, fault.New(fault.Conflict, "delivery of %s is paused: it will not empty", q.Name).WithHint("cogctl queues resume %s", q.Name)
	case len(q.Consumers) == 0:
		return nil, fault.New(fault.Conflict, "nobody takes the messages of %s: it will not empty", q.Name).WithHint("cogctl up attaches the consumers of the contract")
	}
	progress := d.Term.Progress("queues  " + q.Name)
	defer progress.Stop()
	return d.drain(ctx, s.api, q, progress)
}

// reading is a backlog at a time.
type reading struct {
	at   time.Time
	left int64
}

func (d *Deps) drain(ctx context.Context, api *cfapi.Client, q cfapi.QueueState, progress *term.Progress) (*drainResult, error) {
	began, empty := d.Now(), 0
	r := &drainResult{Queue: q.Name, Started: -1}
	var seen []reading
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	for {
		b, err := api.QueueBacklog(ctx, q.ID)
		if ctx.Err() != nil {
			return r.stopped(ctx)
		}
		if err != nil {
			return nil, err
		}
		now := d.Now()
		if r.Started < 0 {
			r.Started = b.Messages
		}
		r.Left, r.TookMS = b.Messages, now.Sub(began).Milliseconds()
		seen = recent(append(seen, reading{now, b.Messages}))
		if empty++; b.Messages > 0 {
			empty = 0
		}
		if r.Rate = fewerPerSecond(reading{began, r.Started}, reading{now, b.Messages}); empty >= drainEmpty {
			r.Empty = true
			return r, nil
		}
		progress.Set("queues  "+drainText(q.Name, b.Messages, fewerPerSecond(seen[0], seen[len(seen)-1])), int(max(r.Started-b.Messages, 0)), int(max(r.Started, b.Messages)))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r.stopped(ctx)
		}
	}
}

// stopped is what is said when time is over; an interrupt is an interrupt.
func (r *drainResult) stopped(ctx context.Context) (*drainResult, error) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && r.Started >= 0 {
		return r, nil
	}
	return nil, fault.New(fault.Unavailable, "wait for %s to empty: %w", r.Queue, ctx.Err())
}

// recent keeps the readings that the rate is taken over.
func recent(seen []reading) []reading {
	for len(seen) > 2 && seen[len(seen)-1].at.Sub(seen[0].at) > drainWindow {
		seen = seen[1:]
	}
	return seen
}

func fewerPerSecond(from, to reading) float64 {
	took := to.at.Sub(from.at).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(from.left-to.left) / took
}

func drainText(queue string, left int64, rate float64) string {
	switch {
	case left == 0:
		return queue + ": empty, looking once more"
	case rate <= 0:
		return fmt.Sprintf("%s: %s waiting, not getting fewer", queue, grouped(left))
	}
	eta := time.Duration(float64(left) / rate * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%s: %s waiting, %s/s fewer, empty in %s", queue, grouped(left), grouped(int64(rate)), eta)
}

func drainBlocks(r *drainResult) []term.Block {
	took := (time.Duration(r.TookMS) * time.Millisecond).Round(time.Millisecond)
	if r.Empty {
		return []term.Block{term.Headline(term.Pass, fmt.Sprintf("%s is empty: %s in %s, %.0f a second", r.Queue, counted(int(r.Started), "message"), took, r.Rate))}
	}
	return []term.Block{
		term.Headline(term.Inconclusive, fmt.Sprintf("%s still has %s after %s (%s at the start)", r.Queue, counted(int(r.Left), "message"), took, grouped(r.Started))),
		term.Hint("cogctl local logs usage-writer, or cogctl queues list: is the consumer at work, and is the database up?"),
	}
}
