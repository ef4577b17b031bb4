package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/export"
	"github.com/cognomega/edge/internal/ledger/recount"
	"github.com/cognomega/edge/internal/term"
)

type ledgerVerifyResult struct {
	Database string `json:"database"`
	Sound    bool   `json:"sound"`
	*recount.Report
	TookMS    int64 `json:"took_ms"`
	PerSecond int64 `json:"transfers_per_second"`
}

func newLedgerVerify(d *Deps) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "verify", Short: "Add the whole journal up again, and hold every balance, hold and adjustment against it", Args: cobra.NoArgs,
		Long: "Add the whole journal up again, and hold every balance, hold and adjustment against it. The adding is done here, in one pass over one moment of the database, " +
			"so that an error of the database's own sums cannot hide itself; `cogctl ledger drift` asks the database instead, and compares the copies in KV. " +
			"The digest is of the journal's rows: two ledgers with the same one hold the same journal.",
		Example: "  cogctl ledger verify\n  cogctl ledger verify --env production -o json\n  cogctl ledger verify --file ledger.jsonl",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" {
				return verifyExport(d, file)
			}
			result, err := runLedgerVerify(cmd.Context(), d)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/ledger.verify/v1", Data: result, Blocks: ledgerVerifyBlocks(result)}); err != nil {
				return err
			}
			if !result.Sound {
				return fault.Finding
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "look at an export instead of a database: whether it is whole and as it was written")
	must(cmd.MarkFlagFilename("file", "jsonl", "csv"))
	return cmd
}

type exportVerifyResult struct {
	File string `json:"file"`
	export.Summary
}

// verifyExport holds a file against its own trailer.
func verifyExport(d *Deps, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fault.New(fault.Invalid, "read the export: %w", err)
	}
	defer f.Close()
	summary, err := export.Read(f, nil)
	if err != nil {
		return err
	}
	return d.Term.Print(term.Report{Schema: "cogctl/ledger.verify-file/v1", Data: exportVerifyResult{path, summary}, Blocks: []term.Block{
		term.Headline(term.Pass, fmt.Sprintf("%s is whole: %s transfers, sha256 %s", path, grouped(summary.Transfers), summary.SHA256)), summaryFacts(summary),
	}})
}

func runLedgerVerify(ctx context.Context, d *Deps) (*ledgerVerifyResult, error) {
	conn, shown, err := d.ledgerSession(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	progress := d.Term.Progress("ledger  adding up the journal")
	defer progress.Stop()
	report, err := recount.Run(ctx, conn, func(done, about int64) { progress.Set("ledger  adding up the journal", int(done), int(about)) })
	if err != nil {
		return nil, err
	}
	took := max(report.Took, time.Millisecond)
	return &ledgerVerifyResult{
		Database: shown, Sound: report.Sound(), Report: report, TookMS: took.Milliseconds(), PerSecond: int64(float64(report.Transfers) / took.Seconds()),
	}, nil
}

func ledgerVerifyBlocks(r *ledgerVerifyResult) []term.Block {
	counts := fmt.Sprintf("%s transfers, %s, %s, %s", grouped(r.Transfers), counted(int(r.Accounts), "account"), counted(int(r.Holds), "hold"), counted(int(r.Adjustments), "adjustment"))
	facts := term.Facts{
		{Name: "database", Value: term.T(r.Database)}, {Name: "counted", Value: term.T(counts)},
		{Name: "took", Value: term.T(fmt.Sprintf("%d ms, %s transfers a second", r.TookMS, grouped(r.PerSecond)))}, {Name: "digest", Value: term.T(r.Digest)},
	}
	if r.Sound {
		totals := term.Rows{Columns: []string{"kind", "transfers", "credits"}}
		for _, t := range r.Totals {
			totals.Rows = append(totals.Rows, term.Row(t.Kind, grouped(t.Transfers), creditsOf(t.AmountMicro)))
		}
		return []term.Block{term.Headline(term.Pass, "every balance, hold and adjustment equals the journal"), facts, totals}
	}
	rows := term.Rows{Columns: []string{"where", "code", "finding, in micro-credits"}}
	for _, f := range r.Findings {
		rows.Rows = append(rows.Rows, term.Row(f.Where, f.Code, f.Message))
	}
	all := len(r.Findings) + int(r.Unlisted)
	blocks := []term.Block{term.Headline(term.Fail, counted(all, "finding")+" in the ledger"), rows, facts}
	if r.Unlisted > 0 {
		blocks = append(blocks, term.Line{term.DimText(fmt.Sprintf("and %d more that are not listed", r.Unlisted))})
	}
	return append(blocks, term.Hint("the journal is right: keep this report, find the writer that went past the ledger's functions, then correct the balance row to the journal's sum"))
}
