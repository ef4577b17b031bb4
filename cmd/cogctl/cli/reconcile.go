package cli

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/term"
)

func newReconcile(d *Deps) *cobra.Command {
	return newGroup("reconcile", "The copies in KV: make them good now, and see what was wrong and why",
		"  cogctl reconcile status\n  cogctl reconcile run", newReconcileRun(d), newReconcileStatus(d))
}

// reconcileFinding is one copy that was wrong.
type reconcileFinding struct {
	Key      string `json:"key"`
	Kind     string `json:"kind"`
	Why      string `json:"why"`
	Repaired bool   `json:"repaired"`
}

type reconcileRunResult struct {
	StartedMS float64            `json:"started_ms"`
	EndedMS   float64            `json:"ended_ms"`
	Accounts  int                `json:"accounts"`
	Entries   int                `json:"entries"`
	Uses      int                `json:"uses"`
	UsesShown int                `json:"uses_shown"`
	Feed      int                `json:"feed_entries"`
	Complete  bool               `json:"complete"`
	Findings  []reconcileFinding `json:"findings"`
}

func newReconcileRun(d *Deps) *cobra.Command {
	var keyFile string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "run", Short: "Make one pass now: compare the copies in KV with the ledger, and make them good", Args: cobra.NoArgs,
		Long: "Make one pass now, rather than wait half a minute for the next: the reconciler compares the copies in KV with the ledger, makes them good and keeps a record. " +
			"The ledger is never changed. It needs the admin key, from --admin-key-file or COGCTL_ADMIN_KEY; on this machine it is known. Exit 1: something could not be made good; " +
			"4: the pass ended before it had compared everything that changed lately, run it again.",
		Example: "  cogctl reconcile run\n  cogctl reconcile run --dry-run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dryRun {
				return planReconcile(cmd.Context(), d)
			}
			r, err := runReconcile(cmd.Context(), d, keyFile)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/reconcile.run/v1", Data: r, Blocks: reconcileRunBlocks(r)}); err != nil {
				return err
			}
			return r.err()
		},
	}
	cmd.Flags().StringVar(&keyFile, "admin-key-file", "", "file that holds the admin key")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what differs, and change nothing: as cogctl ledger drift does")
	must(cmd.MarkFlagFilename("admin-key-file"))
	return cmd
}

// planReconcile shows what a pass would find.
func planReconcile(ctx context.Context, d *Deps) error {
	r, err := runLedgerDrift(ctx, d, false)
	if err != nil {
		return err
	}
	if err := d.Term.Print(term.Report{Schema: "cogctl/ledger.drift/v1", Data: r, Blocks: kvBlocks(r)}); err != nil {
		return err
	}
	if !r.KV.Seen {
		return fault.Inconclusive
	}
	return nil
}

func runReconcile(ctx context.Context, d *Deps, keyFile string) (*reconcileRunResult, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	progress := d.Term.Progress("reconcile  comparing the copies with the ledger")
	defer progress.Stop()
	r := &reconcileRunResult{}
	err = d.adminCall(ctx, t, keyFile, adminRequest{doing: "reconcile", method: http.MethodPost, path: "/api/admin/reconcile", body: struct{}{}}, r)
	if r.Findings == nil {
		r.Findings = []reconcileFinding{}
	}
	return r, err
}

func (r *reconcileRunResult) err() error {
	for _, f := range r.Findings {
		if !f.Repaired {
			return fault.Finding
		}
	}
	if !r.Complete {
		return fault.Inconclusive
	}
	return nil
}

func reconcileRunBlocks(r *reconcileRunResult) []term.Block {
	verdict, what := term.Pass, "all copies that were compared say what the ledger says"
	if n := len(r.Findings); n > 0 {
		what = counted(n, "copy") + " differed from the ledger"
		if n > 1 {
			what = fmt.Sprintf("%d copies differed from the ledger", n)
		}
		if verdict = term.Warning; fault.KindOf(r.err()) == fault.Finding {
			verdict = term.Fail
		}
	}
	if !r.Complete && verdict != term.Fail {
		verdict, what = term.Inconclusive, what+"; not everything was compared: run it again"
	}
	took := time.Duration(r.EndedMS-r.StartedMS) * time.Millisecond
	facts := term.Facts{
		{Name: "compared", Value: term.T(fmt.Sprintf("%s, %s, %s, %s in %s", counted(r.Accounts, "account"), counted(r.Entries, "KV key"), counted(r.Uses, "use"), counted(r.Feed, "feed key"), took))},
		{Name: "feed", Value: term.T(counted(r.UsesShown, "use") + " shown that it lacked")},
	}
	blocks := []term.Block{term.Headline(verdict, what), facts}
	if len(r.Findings) > 0 {
		blocks = append(blocks, reconcileRows(r.Findings))
	}
	return blocks
}

func reconcileRows(findings []reconcileFinding) term.Rows {
	rows := term.Rows{Columns: []string{"key", "what", "repaired", "why"}}
	for _, f := range findings {
		rows.Rows = append(rows.Rows, []term.Text{term.T(f.Key), term.T(f.Kind), yesOrNo(f.Repaired), term.T(f.Why)})
	}
	return rows
}

type reconcileStatusResult struct {
	Database string                    `json:"database"`
	BoundS   int                       `json:"bound_s"`
	AgeS     int64                     `json:"last_pass_age_s"` // -1: none was ever made
	Late     bool                      `json:"late"`
	Walks    []ledger.ReconcileWalk    `json:"walks"`
	Passes   []ledger.ReconcilePass    `json:"passes"`
	Findings []ledger.ReconcileFinding `json:"findings"`
}

func newReconcileStatus(d *Deps) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "status", Short: "Show the last passes over the copies in KV, and what they found and why", Args: cobra.NoArgs,
		Long: "Show the last passes over the copies in KV, and what they found and why, from the record in the database. Exit 1 when no pass was made for longer than the contract " +
			"lets KV and the ledger differ, or when the last one could not make everything good; 4 when none was made yet, as in the first minute after the first cogctl up.",
		Example: "  cogctl reconcile status\n  cogctl reconcile status -n 100 --env production -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := runReconcileStatus(cmd.Context(), d, limit)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/reconcile.status/v1", Data: r, Blocks: reconcileStatusBlocks(r)}); err != nil {
				return err
			}
			return r.err()
		},
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 10, "passes and findings to show, up to 1000")
	return cmd
}

func runReconcileStatus(ctx context.Context, d *Deps, limit int) (*reconcileStatusResult, error) {
	if limit < 1 || limit > 1000 {
		return nil, fault.New(fault.Invalid, "--limit %d is not 1 to 1000", limit)
	}
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	conn, shown, err := d.ledgerSession(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	r := &reconcileStatusResult{Database: shown, AgeS: -1}
	for _, flow := range c.Flow {
		if flow.Kind == contract.FlowAgree {
			r.BoundS = flow.MaxS
		}
	}
	r.Passes, r.Findings, err = ledger.New(conn).Reconciliations(ctx, limit)
	if err != nil {
		return nil, err
	}
	r.Walks, err = ledger.New(conn).ReconcileWalks(ctx)
	if len(r.Passes) > 0 {
		r.AgeS = int64(d.Now().Sub(r.Passes[0].Ended).Seconds())
	}
	r.Late = r.AgeS > int64(r.BoundS)
	return r, err
}

func (r *reconcileStatusResult) err() error {
	if len(r.Passes) == 0 {
		return fault.Inconclusive
	}
	if r.Late || r.Passes[0].Repaired < r.Passes[0].Found {
		return fault.Finding
	}
	return nil
}

func reconcileStatusBlocks(r *reconcileStatusResult) []term.Block {
	age := time.Duration(r.AgeS) * time.Second
	var blocks []term.Block
	switch {
	case len(r.Passes) == 0:
		return []term.Block{term.Headline(term.Inconclusive, "no pass was made yet"),
			term.Hint("the first one ends within 60 s of cogctl up; if none does: cogctl local logs reconciler. cogctl reconcile run makes one now")}
	case r.Late:
		blocks = append(blocks, term.Headline(term.Fail, fmt.Sprintf("the last pass was %s ago, and there should be one every %ds", age, r.BoundS)),
			term.Hint("cogctl local logs reconciler; cogctl db status; cogctl reconcile run"))
	default:
		blocks = append(blocks, term.Headline(term.Pass, fmt.Sprintf("the last pass was %s ago, within the bound of %ds", age, r.BoundS)))
	}
	for _, w := range r.Walks {
		blocks = append(blocks, term.Line{term.DimText(walkLine(w))})
	}
	passes := term.Rows{Columns: []string{"ended", "took", "accounts", "keys", "uses", "feed", "found", "repaired", "complete"}}
	for _, p := range r.Passes {
		passes.Rows = append(passes.Rows, []term.Text{
			term.T(p.Ended.Format(time.RFC3339)), term.T(p.Ended.Sub(p.Started).Round(time.Millisecond).String()), term.T(fmt.Sprint(p.Accounts)), term.T(fmt.Sprint(p.Entries)),
			term.T(fmt.Sprint(p.Uses)), term.T(fmt.Sprint(p.Feed)), term.T(fmt.Sprint(p.Found)), term.T(fmt.Sprint(p.Repaired)), yesOrNo(p.Complete),
		})
	}
	blocks = append(blocks, passes)
	if len(r.Findings) == 0 {
		return append(blocks, term.Line{term.DimText("no copy was ever found wrong")})
	}
	rows := term.Rows{Columns: []string{"found", "key", "what", "repaired", "why"}}
	for _, f := range r.Findings {
		rows.Rows = append(rows.Rows, []term.Text{term.T(f.Found.Format(time.RFC3339)), term.T(f.Key), term.T(f.Kind), yesOrNo(f.Repaired), term.T(f.Why)})
	}
	return append(blocks, rows)
}

// walkLine says how long a round takes over the feed: what was changed in KV alone is found within one.
func walkLine(w ledger.ReconcileWalk) string {
	side := map[string]string{"listed": "through the feed in KV", "journal": "through the journal's uses"}[w.Name]
	if w.TookMS == nil {
		return fmt.Sprintf("first round %s: %d so far, since %s", side, w.Entries, w.Began.Format(time.RFC3339))
	}
	return fmt.Sprintf("last round %s: all %d in %s, ended %s", side, *w.Of, time.Duration(*w.TookMS)*time.Millisecond, w.Ended.Format(time.RFC3339))
}
