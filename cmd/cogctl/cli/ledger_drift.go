package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/ledger/copies"
	"github.com/cognomega/edge/internal/term"
)

// mostDrift is how many differences are listed: one more or less changes nothing about what to do.
const mostDrift = 100

type driftResult struct {
	Database string              `json:"database"`
	Books    []ledger.Difference `json:"books"` // the database's own view of balances, holds and journal
	KV       kvDrift             `json:"kv"`
	Copies   []copies.Difference `json:"copies"` // what KV says otherwise than the ledger
	Feed     feedDrift           `json:"feed"`   // entries of usage that KV lacks, or has and the journal does not
	OnWay    []copies.Difference `json:"on_their_way"`
	Unlisted int                 `json:"unlisted"`
	Verdict  string              `json:"verdict"`
	kinds    map[string]int
}

type kvDrift struct {
	Asked     bool   `json:"asked"`
	Seen      bool   `json:"seen"`
	Namespace string `json:"namespace,omitempty"`
	Why       string `json:"why,omitempty"` // why it was not seen
	Compared  int    `json:"compared"`
	GraceS    int    `json:"grace_s"`

	hint string
}

// feedDrift is what the lists of usage in KV lack or have too much, by their keys; what an entry says is the reconciler's to compare.
type feedDrift struct {
	Compared int      `json:"compared"`
	OnWay    int      `json:"on_their_way"`
	Missing  int      `json:"missing"`
	Foreign  int      `json:"foreign"`
	Keys     []string `json:"keys"` // the first of them
}

func newLedgerDrift(d *Deps) *cobra.Command {
	var noKV bool
	cmd := &cobra.Command{
		Use: "drift", Short: "Compare balances with the journal by the database's own view, and the copies in KV with the ledger", Args: cobra.NoArgs,
		Long: "Compare balances with the journal by the database's own view, and every copy of a balance in KV with the ledger, and the keys of the feed of usage " +
			"with the journal. What changed within the contract's bound alone is on its way, and no drift. What entries of the feed say is compared by the reconciler. Nothing is changed: the reconciler repairs copies, `cogctl reconcile run` at once. Exit 1: something differs; 4: KV could not be seen.",
		Example: "  cogctl ledger drift\n  cogctl ledger drift --env production -o json\n  cogctl ledger drift --no-kv",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := runLedgerDrift(cmd.Context(), d, noKV)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/ledger.drift/v1", Data: r, Blocks: driftBlocks(r)}); err != nil {
				return err
			}
			return r.err()
		},
	}
	cmd.Flags().BoolVar(&noKV, "no-kv", false, "the database alone")
	return cmd
}

func runLedgerDrift(ctx context.Context, d *Deps, noKV bool) (*driftResult, error) {
	conn, shown, err := d.ledgerSession(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	progress := d.Term.Progress("ledger  comparing balances with the journal")
	defer progress.Stop()
	r := &driftResult{Database: shown, Copies: []copies.Difference{}, OnWay: []copies.Difference{}, Feed: feedDrift{Keys: []string{}}, kinds: map[string]int{}}
	if r.Books, err = ledger.New(conn).Drift(ctx, mostDrift); err != nil {
		return nil, err
	}
	if r.Books == nil {
		r.Books = []ledger.Difference{}
	}
	if r.KV.Asked = !noKV; r.KV.Asked {
		progress.Set("ledger  comparing the copies in KV", 0, 0)
		if err := r.compareKV(ctx, d, conn); err != nil {
			return nil, err
		}
	}
	r.Verdict = r.verdict()
	return r, nil
}

// compareKV reads KV before the ledger: what changes in between is young, and so on its way.
func (r *driftResult) compareKV(ctx context.Context, d *Deps, conn *pgx.Conn) error {
	kv, err := d.balanceCopies(ctx)
	var held map[string]string
	if err == nil {
		r.KV.Namespace, r.KV.GraceS = kv.title, int(kv.grace/time.Second)
		held, err = kv.all(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		r.KV.Why, r.KV.hint = err.Error(), fault.HintOf(err)
		return nil
	}
	r.KV.Seen = true
	l := ledger.New(conn)
	err = r.compareBalances(ctx, l, held, d.Now, kv.grace)
	for _, key := range sortedKeys(held) {
		r.add(copies.OfNobody(key, held[key]))
	}
	if err != nil {
		return err
	}
	return r.compareFeed(ctx, d, kv, l)
}

// compareBalances holds each balance against its copy, and takes from held those that it has looked at.
func (r *driftResult) compareBalances(ctx context.Context, l *ledger.Ledger, held map[string]string, now func() time.Time, grace time.Duration) error {
	var young []*copies.Difference
	err := l.EachBalance(ctx, func(b ledger.Balance) {
		var text *string
		key := copies.Prefix + b.Account
		if value, ok := held[key]; ok {
			text = &value
		}
		delete(held, key)
		r.KV.Compared++
		switch diff := copies.Compare(b, text, now(), grace); {
		case diff == nil:
		case diff.OnWay:
			young = append(young, diff)
		default:
			r.add(*diff)
		}
	})
	if err == nil {
		err = copies.Overdue(ctx, l, young, now(), grace)
	}
	for _, diff := range young {
		r.add(*diff)
	}
	return err
}

// compareFeed holds KV's list of the feed against the journal, both in the order of keys.
func (r *driftResult) compareFeed(ctx context.Context, d *Deps, kv *kvCopies, l *ledger.Ledger) error {
	feed, err := copies.NewFeed(ctx, l, d.Now(), kv.grace)
	if err != nil {
		return err
	}
	defer feed.Close()
	if err := kv.api.KVKeys(ctx, kv.namespace, copies.FeedPrefix, feed.Keys); err != nil {
		return err
	}
	foreign, err := feed.End(ctx, l)
	r.Feed.Compared, r.Feed.OnWay, r.Feed.Missing, r.Feed.Foreign = feed.Compared, feed.OnWay, len(feed.Missing), len(foreign)
	keys := append(feed.Missing, foreign...)
	r.Feed.Keys = append(r.Feed.Keys, keys[:min(len(keys), mostDrift)]...)
	return err
}

func (r *driftResult) add(diff copies.Difference) {
	list := &r.Copies
	if diff.OnWay {
		list = &r.OnWay
	} else {
		r.kinds[string(diff.Kind)]++
	}
	if len(*list) >= mostDrift {
		r.Unlisted++
		return
	}
	*list = append(*list, diff)
}

func (r *driftResult) verdict() string {
	switch {
	case len(r.Books)+len(r.Copies)+r.Feed.Missing+r.Feed.Foreign > 0:
		return string(term.Fail)
	case r.KV.Asked && !r.KV.Seen:
		return string(term.Inconclusive)
	}
	return string(term.Pass)
}

func (r *driftResult) err() error {
	switch term.Verdict(r.Verdict) {
	case term.Fail:
		return fault.Drift
	case term.Inconclusive:
		return fault.Inconclusive
	}
	return nil
}

func driftBlocks(r *driftResult) []term.Block {
	blocks := []term.Block{term.Headline(term.Pass, r.Database+": every balance equals its journal, by the database's own view")}
	if len(r.Books) > 0 {
		rows := term.Rows{Columns: []string{"difference, in micro-credits"}}
		for _, b := range r.Books {
			rows.Rows = append(rows.Rows, term.Row(b.String()))
		}
		blocks = []term.Block{term.Headline(term.Fail, counted(len(r.Books), "difference")+" between balances and journal in "+r.Database), rows,
			term.Hint("the journal is right: keep this report, then cogctl ledger verify says more")}
	}
	return append(blocks, kvBlocks(r)...)
}

func kvBlocks(r *driftResult) []term.Block {
	switch {
	case !r.KV.Asked:
		return nil
	case !r.KV.Seen:
		return []term.Block{term.Headline(term.Inconclusive, "the copies in KV were not seen: "+r.KV.Why), term.Hint(r.KV.hint)}
	}
	var blocks []term.Block
	if len(r.Copies) == 0 {
		blocks = append(blocks, term.Headline(term.Pass, fmt.Sprintf("KV %s: all of %s compared say what the ledger says", r.KV.Namespace, counted(r.KV.Compared, "balance"))))
	} else {
		var parts []string
		for _, kind := range sortedKeys(r.kinds) {
			parts = append(parts, fmt.Sprintf("%d %s", r.kinds[kind], kind))
		}
		rows := term.Rows{Columns: []string{"key", "what", "kv says", "ledger says, in micro-credits"}}
		for _, c := range r.Copies {
			rows.Rows = append(rows.Rows, term.Row(c.Key, string(c.Kind), c.Says, c.Ledger))
		}
		blocks = append(blocks, term.Headline(term.Fail, "KV "+r.KV.Namespace+" differs from the ledger: "+strings.Join(parts, ", ")), rows,
			term.Hint("the ledger is right: cogctl reconcile run makes the copies good, cogctl reconcile status says why they were wrong"))
	}
	if n := len(r.OnWay); n > 0 {
		blocks = append(blocks, term.Line{term.DimText(fmt.Sprintf("%s changed within %d s: the copies may be on the way", counted(n, "balance"), r.KV.GraceS))})
	}
	if r.Unlisted > 0 {
		blocks = append(blocks, term.Line{term.DimText(fmt.Sprintf("and %d more that are not listed", r.Unlisted))})
	}
	return append(blocks, feedBlocks(r)...)
}

func feedBlocks(r *driftResult) []term.Block {
	f := r.Feed
	var blocks []term.Block
	if f.Missing+f.Foreign == 0 {
		blocks = append(blocks, term.Headline(term.Pass, fmt.Sprintf("KV %s: the feed has an entry of each of %s, and of no other", r.KV.Namespace, counted(f.Compared, "use"))))
	} else {
		rows := term.Rows{Columns: []string{"entry of the feed"}}
		for _, key := range f.Keys {
			rows.Rows = append(rows.Rows, term.Row(key))
		}
		blocks = append(blocks, term.Headline(term.Fail, fmt.Sprintf("KV %s: the feed differs from the journal: %d missing, %d foreign", r.KV.Namespace, f.Missing, f.Foreign)), rows,
			term.Hint("the journal is right: the reconciler's walks make the feed good, cogctl reconcile status says how far they are and why it was wrong"))
	}
	if f.OnWay > 0 {
		blocks = append(blocks, term.Line{term.DimText(counted(f.OnWay, "use") + " may be on the way into the feed")})
	}
	return blocks
}

// kvCopies is where the copies of balances are.
type kvCopies struct {
	api       *cfapi.Client
	namespace string
	title     string
	grace     time.Duration // how long after a write the contract lets the two differ
}

func (d *Deps) balanceCopies(ctx context.Context) (*kvCopies, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(t.Contract.Flow) {
		flow := t.Contract.Flow[name]
		if flow.Kind != contract.FlowAgree {
			continue
		}
		title := t.Contract.Stores[flow.Store].Name
		ns, err := t.API.NamespaceByTitle(ctx, title)
		if err != nil {
			return nil, err
		}
		return &kvCopies{t.API, ns.ID, title, time.Duration(flow.MaxS) * time.Second}, nil
	}
	return nil, fault.New(fault.NotFound, "the contract has no store that agrees with the ledger")
}

// all reads every copy.
func (k *kvCopies) all(ctx context.Context) (map[string]string, error) {
	held := map[string]string{}
	err := k.api.KVKeys(ctx, k.namespace, copies.Prefix, func(keys []string) error {
		values, err := k.api.KVGetMany(ctx, k.namespace, keys)
		for key, value := range values {
			held[key] = value
		}
		return err
	})
	return held, err
}
