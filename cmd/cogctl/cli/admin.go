package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/ledger/adminlog"
	"github.com/cognomega/edge/internal/term"
)

func newAdmin(d *Deps) *cobra.Command {
	return newGroup("admin", "What operators did to the platform", "  cogctl admin log\n  cogctl admin log --since 2026-11-01 --account ada@example.com", newAdminLog(d))
}

type adminLogOptions struct {
	actor, action, account, since string
	before                        int64
	limit                         int
}

type adminLogResult struct {
	Database string           `json:"database"`
	Entries  []adminlog.Entry `json:"entries"`
	Before   int64            `json:"next_before"` // 0: there is nothing older
}

func newAdminLog(d *Deps) *cobra.Command {
	var o adminLogOptions
	cmd := &cobra.Command{
		Use: "log", Short: "List what was done with the admin key, newest first", Args: cobra.NoArgs,
		Long: "List what was done with the admin key, newest first: who asked (as they say; the key names nobody), what for, from where, and what came of it. " +
			"It is kept in the database, in a table that is added to and never changed, and holds no secret. A call without an outcome was asked for, and its Worker ended before it could say more.",
		Example: "  cogctl admin log\n  cogctl admin log --action \"POST /auth/revoke\" --since 2026-11-01 --env production\n  cogctl admin log --account ada@example.com -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := runAdminLog(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/admin.log/v1", Data: r, Blocks: adminLogBlocks(r)})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.actor, "actor", "", "by this caller alone")
	f.StringVar(&o.action, "action", "", "of this method and path alone, such as \"POST /auth/token\"")
	f.StringVar(&o.account, "account", "", "about this account alone")
	f.StringVar(&o.since, "since", "", "from this time on, such as 2026-11-01 (UTC) or 2026-11-01T08:30:00Z")
	f.Int64Var(&o.before, "before", 0, "older than this entry alone: next_before of the page before")
	f.IntVarP(&o.limit, "limit", "n", 25, "entries on a page, up to 1000")
	return cmd
}

func runAdminLog(ctx context.Context, d *Deps, o adminLogOptions) (*adminLogResult, error) {
	since, _, err := period(o.since, "")
	if err != nil {
		return nil, err
	}
	conn, shown, err := d.ledgerSession(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	list, err := adminlog.Read(ctx, conn, adminlog.Query{
		Actor: o.actor, Action: o.action, Account: strings.ToLower(strings.TrimSpace(o.account)), Since: since, Before: o.before, Limit: o.limit,
	})
	if err != nil {
		return nil, err
	}
	r := &adminLogResult{Database: shown, Entries: list}
	if len(list) == o.limit {
		r.Before = list[len(list)-1].ID
	}
	return r, nil
}

func adminLogBlocks(r *adminLogResult) []term.Block {
	rows := term.Rows{Columns: []string{"when", "by", "action", "about", "outcome", "request"}, Empty: "nothing was done with the admin key in this time"}
	for _, e := range r.Entries {
		by := e.Actor
		if by == "" {
			by = "not said"
		}
		rows.Rows = append(rows.Rows, []term.Text{
			term.T(e.At.UTC().Format(rfc3339)), term.T(by), term.T(e.Action), term.T(aboutText(e)), outcomeText(e), term.DimText(e.RequestID),
		})
	}
	blocks := []term.Block{rows}
	if r.Before > 0 {
		blocks = append(blocks, term.Line{term.DimText(fmt.Sprintf("older: --before %d", r.Before))})
	}
	return blocks
}

func outcomeText(e adminlog.Entry) term.Text {
	switch {
	case e.Status == 0:
		return term.Text{Text: "not known", Tone: term.Warn}
	case e.Status >= 400:
		return term.Text{Text: strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, e.Error)), Tone: term.Bad}
	}
	return term.T(fmt.Sprint(e.Status))
}

// aboutText is the detail in one line, in the order of its names.
func aboutText(e adminlog.Entry) string {
	var detail map[string]any
	_ = json.Unmarshal(e.Detail, &detail) // the database keeps nothing but JSON
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(detail)) {
		if v := detail[name]; v != nil && v != "" {
			parts = append(parts, fmt.Sprintf("%s=%v", name, v))
		}
	}
	if e.ActingFor != "" {
		parts = append(parts, "for="+e.ActingFor)
	}
	return strings.Join(parts, " ")
}
