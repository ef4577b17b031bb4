package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/term"
)

func newQueuesDLQ(d *Deps) *cobra.Command {
	return newGroup("dlq", "Dead letters: messages whose tries are used up, kept in the database until somebody decides",
		"  cogctl queues dlq list\n  cogctl queues dlq replay --dry-run", newDLQList(d), newDLQReplay(d))
}

// dlqWaiting is a dead letter queue, with what has not been kept yet.
type dlqWaiting struct {
	Queue    string `json:"queue"`
	Of       string `json:"of"`
	Messages int64  `json:"messages"`
}

type dlqListResult struct {
	Database string              `json:"database"`
	Queues   []dlqWaiting        `json:"queues"`
	Letters  []ledger.DeadLetter `json:"letters"`
	Total    int64               `json:"total"`
	Replayed int64               `json:"replayed"`
}

func newDLQList(d *Deps) *cobra.Command {
	var limit int
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List dead letters: those on their way, and those kept in the database", Args: cobra.NoArgs,
		Long: "List dead letters: those that still wait in a dead letter queue, and those that its consumer has kept in the database, oldest first. " +
			"Exit 1 when there are any that were not replayed.",
		Example: "  cogctl queues dlq list\n  cogctl queues dlq list --all -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := runDLQList(cmd.Context(), d, limit, all)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/queues.dlq.list/v1", Data: r, Blocks: dlqListBlocks(r)}); err != nil {
				return err
			}
			if r.open() {
				return fault.Finding
			}
			return nil
		},
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 25, "letters to list, up to 1000")
	cmd.Flags().BoolVar(&all, "all", false, "also those that were replayed")
	return cmd
}

func (r *dlqListResult) open() bool {
	for _, q := range r.Queues {
		if q.Messages > 0 {
			return true
		}
	}
	return r.Total > r.Replayed
}

// deadQueues lists the queues that others leave their dead letters in.
func (s *queueSet) deadQueues(ctx context.Context) ([]dlqWaiting, error) {
	waiting := []dlqWaiting{}
	for _, name := range sortedKeys(s.byName) {
		of, ok := s.feeding(name)
		if !ok {
			continue
		}
		b, err := s.api.QueueBacklog(ctx, s.byName[name].ID)
		if err != nil {
			return nil, err
		}
		waiting = append(waiting, dlqWaiting{name, of.Name, b.Messages})
	}
	return waiting, nil
}

func runDLQList(ctx context.Context, d *Deps, limit int, all bool) (*dlqListResult, error) {
	if limit < 1 || limit > 1000 {
		return nil, fault.New(fault.Invalid, "--limit %d is not 1 to 1000", limit)
	}
	s, err := d.queueSet(ctx)
	if err != nil {
		return nil, err
	}
	conn, shown, err := d.ledgerSession(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	r := &dlqListResult{Database: shown}
	if r.Queues, err = s.deadQueues(ctx); err != nil {
		return nil, err
	}
	l := ledger.New(conn)
	if r.Total, r.Replayed, err = l.CountDeadLetters(ctx); err != nil {
		return nil, err
	}
	r.Letters, err = l.DeadLetters(ctx, limit, all)
	return r, err
}

func dlqListBlocks(r *dlqListResult) []term.Block {
	var blocks []term.Block
	for _, q := range r.Queues {
		if q.Messages > 0 {
			blocks = append(blocks, term.Headline(term.Warning, fmt.Sprintf("%s wait in %s to be kept", counted(int(q.Messages), "message"), q.Queue)))
		}
	}
	if r.Total == 0 {
		return append(blocks, term.Headline(term.Pass, "no dead letter is kept"))
	}
	left := r.Total - r.Replayed
	verdict := term.Fail
	if left == 0 {
		verdict = term.Pass
	}
	blocks = append(blocks, term.Headline(verdict, fmt.Sprintf("%s kept, %d of them replayed", counted(int(r.Total), "dead letter"), r.Replayed)))
	rows := term.Rows{Columns: []string{"message", "queue", "tries", "sent", "replayed", "body"}}
	for _, m := range r.Letters {
		replayed := term.DimText("no")
		if m.Replayed != nil {
			replayed = term.T(m.Replayed.Format(time.RFC3339))
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(m.MessageID), term.T(m.Queue), term.T(fmt.Sprint(m.Attempts)), term.T(m.Sent.Format(time.RFC3339)), replayed, term.T(shortened(string(m.Body), 200))})
	}
	if blocks = append(blocks, rows); left > 0 {
		blocks = append(blocks, term.Hint("what stopped them? cogctl local logs usage-writer; when it is mended: cogctl queues dlq replay --dry-run"))
	}
	return blocks
}

func shortened(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + " …"
	}
	return text
}

type replayResult struct {
	DryRun   bool           `json:"dry_run"`
	Replayed int            `json:"replayed"`
	To       map[string]int `json:"to"`
}

func newDLQReplay(d *Deps) *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use: "replay [MESSAGE...]", Short: "Send dead letters to their queue again; safe to run twice, or to be killed",
		Long: "Send dead letters to the queue they came from again, oldest first: those named, or all that were not replayed. A letter is marked as replayed only after the queue " +
			"has taken it, so being killed in between loses none and sends some twice, which is harmless: the ledger posts an event once for ever by its id. " +
			"One that fails again comes back as a new dead letter, and is not replayed by the same run.",
		Example: "  cogctl queues dlq replay --dry-run\n  cogctl queues dlq replay\n  cogctl queues dlq replay 3f2a9c -n 1",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.ids = args
			r, err := runReplay(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/queues.dlq.replay/v1", Data: r, Blocks: replayBlocks(r)})
		},
	}
	cmd.Flags().IntVarP(&o.limit, "limit", "n", 0, "at most so many (0: all)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	return cmd
}

type replayOptions struct {
	ids    []string
	limit  int
	dryRun bool
}

func runReplay(ctx context.Context, d *Deps, o replayOptions) (*replayResult, error) {
	if o.limit < 0 {
		return nil, fault.New(fault.Invalid, "--limit %d is below 0", o.limit)
	}
	s, err := d.queueSet(ctx)
	if err != nil {
		return nil, err
	}
	conn, _, err := d.ledgerSession(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	r := &replayResult{DryRun: o.dryRun, To: map[string]int{}}
	progress := d.Term.Progress("queues  replaying dead letters")
	defer progress.Stop()
	send := func(ctx context.Context, dead string, bodies []ledger.DeadLetter) error {
		to, ok := s.feeding(dead)
		if !ok {
			return fault.New(fault.NotFound, "no queue leaves its dead letters in %s, so there is none to send them to", dead).WithHint("cogctl queues list shows where dead letters go")
		}
		if !o.dryRun {
			if err := s.api.SendMessages(ctx, to.ID, rawBodies(bodies)); err != nil {
				return err
			}
		}
		r.To[to.Name] += len(bodies)
		r.Replayed += len(bodies)
		progress.Set(fmt.Sprintf("queues  %s sent again", counted(r.Replayed, "dead letter")), 0, 0)
		return nil
	}
	bounds := ledger.ReplayBounds{MaxMessages: cfapi.MaxSendMessages, MaxBytes: cfapi.MaxSendBytes - 64<<10, Limit: o.limit, IDs: o.ids, DryRun: o.dryRun}
	return r, ledger.ReplayDeadLetters(ctx, conn, bounds, send)
}

func replayBlocks(r *replayResult) []term.Block {
	if r.Replayed == 0 {
		return []term.Block{term.Line{term.T("no dead letter is to be replayed")}}
	}
	var parts []string
	for _, queue := range sortedKeys(r.To) {
		parts = append(parts, fmt.Sprintf("%d to %s", r.To[queue], queue))
	}
	if r.DryRun {
		return []term.Block{term.Line{term.T("would be sent again: " + strings.Join(parts, ", "))}}
	}
	return []term.Block{
		term.Headline(term.Pass, "sent again: "+strings.Join(parts, ", ")), term.Hint("cogctl queues drain, then cogctl queues dlq list: what fails again comes back"),
	}
}

func rawBodies(letters []ledger.DeadLetter) []json.RawMessage {
	bodies := make([]json.RawMessage, len(letters))
	for i, l := range letters {
		bodies[i] = l.Body
	}
	return bodies
}
