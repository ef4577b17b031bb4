package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/export"
	"github.com/cognomega/edge/internal/term"
)

type ledgerExportOptions struct {
	to, format, since, until, account string
	dryRun                            bool
}

type ledgerExportResult struct {
	Database string `json:"database"`
	File     string `json:"file"`
	DryRun   bool   `json:"dry_run"`
	export.Summary
}

func newLedgerExport(d *Deps) *cobra.Command {
	var o ledgerExportOptions
	cmd := &cobra.Command{
		Use: "export", Short: "Write the ledger as JSON Lines or CSV, with a trailer that tells a whole file from a cut one", Args: cobra.NoArgs,
		Long: "Write the ledger of one moment as JSON Lines or CSV. The order is that of recording, so the same ledger gives the same bytes. The last line is a trailer with " +
			"counts, sums and a digest: `cogctl ledger verify --file` tells a whole file from one that was cut or changed. JSON Lines without a filter is the whole ledger, " +
			"with accounts, holds and adjustments; CSV is the transfers alone. The file holds e-mail addresses: only its owner may read it.",
		Example: "  cogctl ledger export --to ledger.jsonl\n  cogctl ledger export --to november.csv --since 2026-11-01 --until 2026-12-01\n  cogctl ledger export --account ada@example.com | jq .",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := runLedgerExport(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			if r.File == "" && !r.DryRun {
				d.Term.Note(term.Sign(term.Pass), term.T(" "+exportedText(r)))
				return nil
			}
			return d.Term.Print(term.Report{Schema: "cogctl/ledger.export/v1", Data: r, Blocks: ledgerExportBlocks(r)})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "file to write, in one step (default: stdout)")
	f.StringVar(&o.format, "format", "", "jsonl or csv (default: by the file's name, else jsonl)")
	f.StringVar(&o.since, "since", "", "recorded from this time on, such as 2026-11-01 (UTC)")
	f.StringVar(&o.until, "until", "", "recorded before this time")
	f.StringVar(&o.account, "account", "", "transfers that concern this account alone")
	f.BoolVar(&o.dryRun, "dry-run", false, "read everything and say what would be written; write nothing")
	must(cmd.RegisterFlagCompletionFunc("format", fixed("jsonl", "csv")))
	must(cmd.MarkFlagFilename("to", "jsonl", "csv"))
	return cmd
}

func (o ledgerExportOptions) shape() (export.Format, error) {
	name := o.format
	if name == "" {
		name = strings.TrimPrefix(filepath.Ext(o.to), ".")
	}
	switch name {
	case "csv":
		return export.CSV, nil
	case "jsonl", "ndjson", "":
		return export.JSONL, nil
	}
	return "", fault.New(fault.Invalid, "format %q is not known", name).WithHint("--format jsonl or csv")
}

func runLedgerExport(ctx context.Context, d *Deps, o ledgerExportOptions) (*ledgerExportResult, error) {
	format, err := o.shape()
	if err != nil {
		return nil, err
	}
	from, to, err := period(o.since, o.until)
	if err != nil {
		return nil, err
	}
	if o.to == "" && !o.dryRun && d.Term.Format() != term.Table {
		return nil, fault.New(fault.Invalid, "without --to the export itself is what goes to stdout").WithHint("add --to FILE, or leave --output out")
	}
	conn, shown, err := d.ledgerSession(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	result := &ledgerExportResult{Database: shown, File: o.to, DryRun: o.dryRun}
	progress := d.Term.Progress("ledger  exporting")
	defer progress.Stop()
	write := func(w io.Writer) error {
		result.Summary, err = export.Write(ctx, conn, w, format, export.Filter{Since: from, Until: to, Account: strings.ToLower(o.account)}, func(n int64) {
			progress.Set("ledger  exporting, "+grouped(n)+" transfers", 0, 0)
		})
		return err
	}
	switch {
	case o.dryRun:
		return result, write(io.Discard)
	case o.to == "":
		return result, write(d.Term.Out())
	}
	return result, inOneStep(o.to, write)
}

// inOneStep makes a file that its owner alone may read: the whole of it, or none. Killed halfway, what was there before stays.
func inOneStep(path string, write func(io.Writer) error) error {
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o600))
	if err != nil {
		return fault.New(fault.Unavailable, "create %s: %w", path, err)
	}
	defer f.Cleanup() //nolint:errcheck // after success there is nothing to clean
	if err := write(f); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return fault.New(fault.Unavailable, "write %s: %w", path, err)
	}
	return nil
}

func exportedText(r *ledgerExportResult) string {
	return fmt.Sprintf("%s transfers, sha256 %s", grouped(r.Transfers), r.SHA256)
}

func ledgerExportBlocks(r *ledgerExportResult) []term.Block {
	what := exportedText(r)
	head := term.Headline(term.Pass, r.File+": "+what)
	if r.DryRun {
		head = term.Line{term.T("would be written: " + what)}
	}
	return []term.Block{head, summaryFacts(r.Summary)}
}

// summaryFacts show what an export holds.
func summaryFacts(s export.Summary) term.Facts {
	holds := "transfers alone"
	if s.Whole {
		holds = fmt.Sprintf("the whole ledger: %s, %s, %s", counted(int(s.Accounts), "account"), counted(int(s.Holds), "hold"), counted(int(s.Adjustments), "adjustment"))
	}
	facts := term.Facts{{Name: "holds", Value: term.T(holds)}}
	for _, kind := range sortedKeys(s.AmountMicro) {
		facts = append(facts, term.Fact{Name: kind, Value: term.T(creditsOf(s.AmountMicro[kind]) + " credits")})
	}
	return facts
}
