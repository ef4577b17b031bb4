package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

func newQueues(d *Deps) *cobra.Command {
	return newGroup("queues", "What waits in the queues: look, stop, go on, wait, and play dead letters again",
		"  cogctl queues list\n  cogctl queues drain usage-events\n  cogctl queues dlq list",
		newQueuesList(d), newQueuesPeek(d), newQueuesPause(d), newQueuesResume(d), newQueuesDrain(d), newQueuesDLQ(d))
}

// queueSet is the account's queues, and the names the contract has for them.
type queueSet struct {
	api    *cfapi.Client
	all    []cfapi.QueueState
	byName map[string]cfapi.QueueState
	ids    map[string]string // contract's name to the queue's own
}

func (d *Deps) queueSet(ctx context.Context) (*queueSet, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	all, err := t.API.QueueStates(ctx)
	if err != nil {
		return nil, err
	}
	s := &queueSet{api: t.API, all: all, byName: map[string]cfapi.QueueState{}, ids: map[string]string{}}
	for _, q := range all {
		s.byName[q.Name] = q
	}
	if t.Contract != nil {
		for id, store := range t.Contract.Stores {
			s.ids[id] = store.Name
		}
	}
	return s, nil
}

// find takes a queue's own name, or the contract's for it.
func (s *queueSet) find(name string) (cfapi.QueueState, error) {
	if q, ok := s.byName[name]; ok {
		return q, nil
	}
	if q, ok := s.byName[s.ids[name]]; ok {
		return q, nil
	}
	return cfapi.QueueState{}, fault.New(fault.NotFound, "no queue %q on this account", name).WithHint("one of: %s", orNone(sortedKeys(s.byName)))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "there are none"
	}
	return strings.Join(names, ", ")
}

// feeding is the queue whose consumer leaves what it cannot take in dead.
func (s *queueSet) feeding(dead string) (cfapi.QueueState, bool) {
	for _, q := range s.all {
		if deadLetters(q) == dead {
			return q, true
		}
	}
	return cfapi.QueueState{}, false
}

// taker says who takes a queue's messages.
func taker(q cfapi.QueueState) string {
	switch {
	case len(q.Consumers) == 0:
		return "nobody"
	case pulls(q):
		return "whoever pulls"
	}
	return q.Consumers[0].ScriptName
}

func pulls(q cfapi.QueueState) bool {
	return slices.ContainsFunc(q.Consumers, func(c cfapi.Consumer) bool { return c.Type == "http_pull" })
}

func deadLetters(q cfapi.QueueState) string {
	if len(q.Consumers) == 0 {
		return ""
	}
	return q.Consumers[0].DeadLetterQueue
}

func (d *Deps) completeQueue(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	s, err := d.queueSet(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sortedKeys(s.byName), cobra.ShellCompDirectiveNoFileComp
}

type queueRow struct {
	Name       string `json:"name"`
	ID         string `json:"id"`
	Messages   int64  `json:"messages"`
	Bytes      int64  `json:"bytes"`
	OldestAgeS int64  `json:"oldest_age_s"`
	TakenBy    string `json:"taken_by"`
	DeadLetter string `json:"dead_letter,omitempty"`
	Paused     bool   `json:"paused"`
	RetentionS int    `json:"retention_s"`
}

type queuesListResult struct {
	Env    string     `json:"env"`
	Queues []queueRow `json:"queues"`
}

func newQueuesList(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the queues: what waits, since when, who takes it, and whether delivery is paused", Args: cobra.NoArgs,
		Example: "  cogctl queues list\n  cogctl queues list --env production -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := runQueuesList(cmd.Context(), d)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/queues.list/v1", Data: r, Blocks: queuesListBlocks(r)})
		},
	}
}

func runQueuesList(ctx context.Context, d *Deps) (*queuesListResult, error) {
	s, err := d.queueSet(ctx)
	if err != nil {
		return nil, err
	}
	r := &queuesListResult{Env: d.Env, Queues: []queueRow{}}
	for _, name := range sortedKeys(s.byName) {
		q := s.byName[name]
		b, err := s.api.QueueBacklog(ctx, q.ID)
		if err != nil {
			return nil, err
		}
		row := queueRow{Name: name, ID: q.ID, Messages: b.Messages, Bytes: b.Bytes, TakenBy: taker(q), DeadLetter: deadLetters(q),
			Paused: q.Settings.DeliveryPaused, RetentionS: q.Settings.RetentionPeriod}
		if !b.Oldest.IsZero() {
			row.OldestAgeS = int64(max(0, d.Now().Sub(b.Oldest)) / time.Second)
		}
		r.Queues = append(r.Queues, row)
	}
	return r, nil
}

func queuesListBlocks(r *queuesListResult) []term.Block {
	rows := term.Rows{Columns: []string{"queue", "waiting", "oldest", "delivery", "taken by", "dead letters go to"}, Empty: "there are no queues"}
	for _, q := range r.Queues {
		oldest, delivery := "", term.T("on")
		if q.Messages > 0 {
			oldest = (time.Duration(q.OldestAgeS) * time.Second).String()
		}
		if q.Paused {
			delivery = term.Text{Text: "paused", Tone: term.Warn}
		}
		dead := q.DeadLetter
		if dead == "" {
			dead = "-"
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(q.Name), term.T(grouped(q.Messages)), term.T(oldest), delivery, term.T(q.TakenBy), term.T(dead)})
	}
	return []term.Block{rows}
}

type peekRow struct {
	ID          string `json:"id"`
	Sent        string `json:"sent_at"`
	Attempts    int    `json:"attempts"`
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
	Bytes       int    `json:"bytes"`
}

type peekResult struct {
	Queue     string    `json:"queue"`
	Messages  []peekRow `json:"messages"`
	GivenBack int       `json:"given_back"`
}

// peekLease is how long a message that is being looked at is kept from others, should this be killed before it gives it back.
const peekLease = 10 * time.Second

// peekBodyBytes is how much of a body is shown.
const peekBodyBytes = 4096

func newQueuesPeek(d *Deps) *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use: "peek QUEUE", Short: "Look at messages and give them back; each counts as one more attempt", Args: cobra.ExactArgs(1),
		Long: "Look at messages and give them back. Cloudflare's API cannot look without taking: the messages are leased for ten seconds and returned at once, so " +
			"each has one more attempt counted against its retries, and one that was at its last moves to the dead letter queue. It works where messages are pulled; " +
			"those that a Worker takes cannot be looked at from outside, and this says so rather than take the Worker's place.",
		Example:           "  cogctl queues peek jobs -n 3",
		ValidArgsFunction: d.completeQueue,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := runQueuesPeek(cmd.Context(), d, args[0], n)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/queues.peek/v1", Data: r, Blocks: peekBlocks(r)})
		},
	}
	cmd.Flags().IntVarP(&n, "limit", "n", 10, "messages, up to 100")
	return cmd
}

func runQueuesPeek(ctx context.Context, d *Deps, name string, n int) (*peekResult, error) {
	if n < 1 || n > 100 {
		return nil, fault.New(fault.Invalid, "--limit %d is not 1 to 100", n)
	}
	s, err := d.queueSet(ctx)
	if err != nil {
		return nil, err
	}
	q, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if err := pullable(q); err != nil {
		return nil, err
	}
	pulled, err := s.api.PullMessages(ctx, q.ID, n, peekLease)
	if err != nil {
		return nil, err
	}
	r := &peekResult{Queue: q.Name, Messages: []peekRow{}}
	var leases []string
	for _, m := range pulled {
		leases = append(leases, m.LeaseID)
		body := string(m.Body[:min(len(m.Body), peekBodyBytes)])
		r.Messages = append(r.Messages, peekRow{m.ID, m.Sent.Format(time.RFC3339Nano), m.Attempts, m.ContentType, body, len(m.Body)})
	}
	if len(leases) > 0 {
		// Given back also when this was interrupted meanwhile.
		_, r.GivenBack, err = s.api.SettleMessages(context.WithoutCancel(ctx), q.ID, nil, leases)
	}
	return r, err
}

// pullable tells whether a queue's messages can be taken from outside.
func pullable(q cfapi.QueueState) error {
	if q.Settings.DeliveryPaused {
		return fault.New(fault.Conflict, "delivery of queue %s is paused: nothing can be pulled from it", q.Name).WithHint("cogctl queues resume %s", q.Name)
	}
	if pulls(q) {
		return nil
	}
	if len(q.Consumers) > 0 {
		return fault.New(fault.Unsupported, "Worker %s takes the messages of queue %s, so nobody else can", q.Consumers[0].ScriptName, q.Name).
			WithHint("`cogctl queues list` says how many wait; what the Worker could not take is in `cogctl queues dlq list`")
	}
	return fault.New(fault.Unsupported, "queue %s has no pull consumer", q.Name).WithHint("attach one of type http_pull to it, in the contract or by the API")
}

func peekBlocks(r *peekResult) []term.Block {
	rows := term.Rows{Columns: []string{"id", "sent", "attempt", "body"}, Empty: r.Queue + ": nothing to be had now"}
	for _, m := range r.Messages {
		rows.Rows = append(rows.Rows, term.Row(m.ID, m.Sent, fmt.Sprint(m.Attempts), m.Body))
	}
	blocks := []term.Block{rows}
	if n := len(r.Messages); n > 0 {
		blocks = append(blocks, term.Line{term.DimText(fmt.Sprintf("%d of %d given back, each with one more attempt counted", r.GivenBack, n))})
		if r.GivenBack < n {
			blocks = append(blocks, term.Line{term.DimText("the others are there again within " + peekLease.String())})
		}
	}
	return blocks
}
