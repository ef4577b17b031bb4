package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/term"
)

type statementOptions struct {
	since, until, cursor string
	limit                int
	ids                  bool
}

type statementResult struct {
	Database string         `json:"database"`
	Account  accountView    `json:"account"`
	Since    string         `json:"since,omitempty"`
	Until    string         `json:"until,omitempty"`
	Entries  []ledger.Entry `json:"entries"`
	Opening  int64          `json:"opening_micro"`
	Next     string         `json:"next_cursor"`
	Whole    bool           `json:"reaches_first_entry"`
}

func newCreditsStatement(d *Deps) *cobra.Command {
	var o statementOptions
	cmd := &cobra.Command{
		Use: "statement ACCOUNT", Short: "List what happened to an account, newest first, with the balance after each entry", Args: accountArg,
		Long: "List what happened to an account, newest first, with the balance after each entry. The balances go back from the balance of now; a statement that is read " +
			"to its first entry must begin at 0, and if it does not, this says so (exit 1).",
		Example: "  cogctl credits statement ada@example.com\n  cogctl credits statement ada@example.com --since 2026-11-01 --until 2026-12-01 -o markdown",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := runStatement(cmd.Context(), d, args[0], o)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/credits.statement/v1", Data: r, Blocks: statementBlocks(r, o)}); err != nil {
				return err
			}
			if r.broken() {
				return fault.Finding
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&o.since, "since", "", "from this time on, such as 2026-11-01 (UTC) or 2026-11-01T08:30:00Z")
	cmd.Flags().StringVar(&o.until, "until", "", "up to this time, which is not in it")
	cmd.Flags().IntVarP(&o.limit, "limit", "n", 25, "entries on a page, up to 1000")
	cmd.Flags().StringVar(&o.cursor, "cursor", "", "next_cursor of the page before")
	cmd.Flags().BoolVar(&o.ids, "ids", false, "show each entry's id")
	return cmd
}

func runStatement(ctx context.Context, d *Deps, account string, o statementOptions) (*statementResult, error) {
	from, to, err := period(o.since, o.until)
	if err != nil {
		return nil, err
	}
	conn, shown, err := d.ledgerSession(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	s, err := ledger.ReadStatement(ctx, conn, ledger.StatementQuery{Account: account, Since: from, Until: to, Limit: o.limit, Cursor: o.cursor})
	if err != nil {
		return nil, explainAccount(err)
	}
	return &statementResult{
		Database: shown, Account: viewAccount(s.Balance), Since: o.since, Until: o.until, Entries: s.Entries, Opening: s.Opening, Next: s.Next,
		Whole: s.Next == "" && o.since == "",
	}, nil
}

// broken is true when the whole story does not begin at nothing.
func (r *statementResult) broken() bool { return r.Whole && r.Opening != 0 }

func statementBlocks(r *statementResult, o statementOptions) []term.Block {
	blocks := []term.Block{term.Line{
		term.Text{Text: r.Account.Account, Tone: term.Strong}, term.T("  balance " + inCredits(r.Account.Balance)),
		term.DimText(fmt.Sprintf("  version %d, changed %s", r.Account.Version, r.Account.UpdatedAt)),
	}}
	rows := term.Rows{Columns: []string{"when", "kind", "credits", "balance", "for"}, Empty: "nothing happened in this time"}
	if o.ids {
		rows.Columns = append([]string{"id"}, rows.Columns...)
	}
	for _, e := range r.Entries {
		row := term.Row(e.At.Format("2006-01-02 15:04:05"), e.Kind, inCredits(e.Change), inCredits(e.After), purpose(e))
		if o.ids {
			row = append(term.Row(e.ID.String()), row...)
		}
		rows.Rows = append(rows.Rows, row)
	}
	blocks = append(blocks, rows)
	if len(r.Entries) > 0 {
		blocks = append(blocks, term.Line{term.DimText("before that  " + inCredits(r.Opening))})
	}
	switch {
	case r.broken():
		blocks = append(blocks, term.Headline(term.Fail, "the whole statement begins at "+inCredits(r.Opening)+", not at 0"),
			term.Hint("if you came here by pages, entries were recorded meanwhile: begin again without --cursor; otherwise run `cogctl ledger verify`"))
	case r.Next != "":
		blocks = append(blocks, term.Line{term.DimText("more: --cursor " + r.Next)})
	}
	return blocks
}
