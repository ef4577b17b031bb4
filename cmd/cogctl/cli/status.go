package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

type statusResult struct {
	Env      string         `json:"env"`
	Hostname string         `json:"hostname"`
	Answers  bool           `json:"answers"`
	Detail   string         `json:"detail"`
	Workers  []workerStatus `json:"workers"`

	Ledger     *platform.LedgerStatus `json:"ledger,omitempty"` // where this machine knows a database
	Unfinished *promotion.Unfinished  `json:"unfinished,omitempty"`
}

type workerStatus struct {
	Name     string `json:"name"`
	Deployed bool   `json:"deployed"`
	Modified string `json:"modified,omitempty"`
}

func newStatus(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show whether an environment answers, and which Workers it runs", Args: cobra.NoArgs,
		Example: "  cogctl status\n  cogctl status --env production --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runStatus(cmd.Context(), d)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/status/v1", Data: result, Blocks: statusBlocks(result)}); err != nil {
				return err
			}
			if !result.Answers || result.Unfinished != nil || result.Ledger != nil && !result.Ledger.Answers {
				return fault.Finding
			}
			return nil
		},
	}
}

func runStatus(ctx context.Context, d *Deps) (*statusResult, error) {
	l, err := d.layout()
	if err != nil {
		return nil, err
	}
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	n, err := platform.Connect(ctx, c, l, d.Env)
	if err != nil {
		return nil, err
	}
	live, err := n.API.Scripts(ctx)
	if err != nil {
		return nil, err
	}
	modified := map[string]time.Time{}
	for _, s := range live {
		modified[s.Name] = s.Modified
	}
	result := &statusResult{Env: n.Env, Hostname: n.Decl.Hostname, Workers: []workerStatus{}}
	for _, name := range sortedKeys(c.Workers) {
		at, ok := modified[name]
		w := workerStatus{Name: name, Deployed: ok}
		if ok {
			w.Modified = at.UTC().Format(time.RFC3339)
		}
		result.Workers = append(result.Workers, w)
	}
	result.Answers, result.Detail = ready(ctx, n)
	if result.Unfinished, err = d.unfinished(d.Env, trustOptions{}); err != nil {
		return nil, err
	}
	if d.Env == platform.Local || d.Getenv("DATABASE_URL") != "" {
		ledger := platform.LookAtLedger(ctx, l, d.Env, d.Getenv)
		result.Ledger = &ledger
	}
	return result, nil
}

// ready asks the public hostname whether the platform can answer.
func ready(ctx context.Context, n *platform.Connection) (ok bool, detail string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.BaseURL.String()+"/ready", nil)
	if err != nil {
		return false, err.Error()
	}
	start := time.Now()
	res, err := n.HTTP.Do(req)
	if err != nil {
		return false, errors.Unwrap(err).Error()
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK, res.Status + " in " + time.Since(start).Round(time.Millisecond).String()
}

func statusBlocks(r *statusResult) []term.Block {
	verdict := term.Pass
	if !r.Answers {
		verdict = term.Fail
	}
	rows := term.Rows{Columns: []string{"worker", "deployed", "since"}}
	for _, w := range r.Workers {
		rows.Rows = append(rows.Rows, []term.Text{term.T(w.Name), yesOrNo(w.Deployed), term.DimText(w.Modified)})
	}
	blocks := []term.Block{term.Headline(verdict, "https://"+r.Hostname+"/ready  "+r.Detail)}
	if r.Ledger != nil {
		blocks = append(blocks, ledgerHeadline(*r.Ledger))
	}
	return append(append(blocks, unfinishedBlocks(r.Unfinished)...), rows)
}

// ledgerHeadline is the database in one line, with a verdict.
func ledgerHeadline(s platform.LedgerStatus) term.Block {
	if !s.Answers {
		text := "ledger  " + s.Trouble
		if s.Hint != "" {
			text += ": " + s.Hint
		}
		return term.Headline(term.Fail, text)
	}
	verdict := term.Pass
	if s.Version != s.Target || s.Trouble != "" {
		verdict = term.Warning
	}
	text := fmt.Sprintf("ledger  postgres %s at %s  schema %d of %d", s.Server, s.Database, s.Version, s.Target)
	if s.PID != 0 {
		text += fmt.Sprintf("  pid %d", s.PID)
	}
	return term.Headline(verdict, text)
}
