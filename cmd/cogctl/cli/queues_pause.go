package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/term"
)

type pauseResult struct {
	Queue   string `json:"queue"`
	Paused  bool   `json:"paused"`
	Changed bool   `json:"changed"`
	DryRun  bool   `json:"dry_run"`
	Waiting int64  `json:"messages"`

	retention time.Duration
}

func newQueuesPause(d *Deps) *cobra.Command {
	return newDelivery(d, true, "pause QUEUE", "Stop delivery; the queue goes on taking messages", "  cogctl queues pause usage-events --dry-run\n  cogctl queues pause usage-events")
}

func newQueuesResume(d *Deps) *cobra.Command {
	return newDelivery(d, false, "resume QUEUE", "Go on delivering", "  cogctl queues resume usage-events")
}

func newDelivery(d *Deps, paused bool, use, short, example string) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.ExactArgs(1), ValidArgsFunction: d.completeQueue,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := runDelivery(cmd.Context(), d, args[0], paused, dryRun)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/queues.delivery/v1", Data: r, Blocks: deliveryBlocks(r)})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and do nothing")
	return cmd
}

func runDelivery(ctx context.Context, d *Deps, name string, paused, dryRun bool) (*pauseResult, error) {
	s, err := d.queueSet(ctx)
	if err != nil {
		return nil, err
	}
	q, err := s.find(name)
	if err != nil {
		return nil, err
	}
	b, err := s.api.QueueBacklog(ctx, q.ID)
	if err != nil {
		return nil, err
	}
	r := &pauseResult{Queue: q.Name, Paused: paused, Changed: q.Settings.DeliveryPaused != paused, DryRun: dryRun, Waiting: b.Messages,
		retention: time.Duration(q.Settings.RetentionPeriod) * time.Second}
	if !r.Changed || dryRun {
		return r, nil
	}
	return r, s.api.PauseQueue(ctx, q.ID, paused)
}

func deliveryBlocks(r *pauseResult) []term.Block {
	state := map[bool]string{true: "paused", false: "on"}[r.Paused]
	waits := fmt.Sprintf(", %s waiting", counted(int(r.Waiting), "message"))
	switch {
	case !r.Changed:
		return []term.Block{term.Line{term.T("delivery of " + r.Queue + " is " + state + " already" + waits)}}
	case r.DryRun:
		return []term.Block{term.Line{term.T("delivery of " + r.Queue + " would be " + state + waits)}}
	}
	blocks := []term.Block{term.Headline(term.Pass, "delivery of "+r.Queue+" is "+state+waits)}
	if r.Paused {
		blocks = append(blocks, term.Hint(fmt.Sprintf("messages older than %s are deleted, paused or not; a deployment leaves the pause as it is: cogctl queues resume %s", r.retention, r.Queue)))
	}
	return blocks
}
