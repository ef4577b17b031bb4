package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

type localStatusResult struct {
	platform.LocalStatus
	Ledger platform.LedgerStatus `json:"ledger"`
}

func newLocalStatus(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show where the local cloud and the database listen, and their processes", Args: cobra.NoArgs, Example: "  cogctl local status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := d.layout()
			if err != nil {
				return err
			}
			s, err := platform.StatusLocal(cmd.Context(), l)
			if err != nil {
				return err
			}
			ledger := platform.LookAtLedger(cmd.Context(), l, platform.Local, d.Getenv)
			blocks := []term.Block{term.Headline(term.Pass, "local cloud running"), ledgerHeadline(ledger), endpointFacts(s.Endpoints), processRows(s)}
			return d.Term.Print(term.Report{Schema: "cogctl/local.status/v1", Data: localStatusResult{s, ledger}, Blocks: blocks})
		},
	}
}

func processRows(s platform.LocalStatus) term.Rows {
	rows := term.Rows{Columns: []string{"process", "pid", "serving", "started in", "restarts", "memory", "renewals", "workers"}, Empty: "no Worker is deployed"}
	for _, p := range s.Processes {
		rows.Rows = append(rows.Rows, []term.Text{
			term.T(p.Name), term.T(strconv.Itoa(p.PID)), yesOrNo(p.Serving), term.T(strconv.FormatInt(p.StartMS, 10) + " ms"), term.T(strconv.Itoa(p.Restarts)),
			term.T(megabytes(p.Memory)), term.T(strconv.Itoa(p.Renewals)), term.T(strings.Join(p.Scripts, " ")),
		})
	}
	return rows
}

// megabytes is a size that may be unknown.
func megabytes(bytes int64) string {
	if bytes == 0 {
		return "unknown"
	}
	return strconv.FormatInt(bytes>>20, 10) + " MB"
}

// yesOrNo answers a column that asks a question, with the sign that a verdict has.
func yesOrNo(yes bool) term.Text {
	t, word := term.Sign(term.Pass), " yes"
	if !yes {
		t, word = term.Sign(term.Fail), " no"
	}
	t.Text += word
	return t
}
