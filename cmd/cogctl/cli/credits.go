package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/ledger/copies"
	"github.com/cognomega/edge/internal/term"
)

func newCredits(d *Deps) *cobra.Command {
	return newGroup("credits", "What an account has, what became of it, and giving or taking some",
		"  cogctl credits show ada@example.com\n  cogctl credits statement ada@example.com --since 2026-11-01",
		newCreditsShow(d), newCreditsStatement(d), newCreditsAdjust(d))
}

// accountArg takes one account: an e-mail, as the ledger keeps it.
func accountArg(cmd *cobra.Command, args []string) error {
	if err := cobra.ExactArgs(1)(cmd, args); err != nil {
		return err
	}
	if account := args[0]; account == "" || len(account) > 320 || strings.HasPrefix(account, "system:") {
		return fault.New(fault.Invalid, "%.60q is not a customer's account", account).WithHint("an account is the e-mail that its tokens carry")
	}
	return nil
}

// explainAccount says what an account that is not there means.
func explainAccount(err error) error {
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	return fault.New(fault.NotFound, "%w", err).WithHint("an account is opened by its first use, or by `cogctl credits adjust`; is --env the right one?")
}

// balanceFacts show what an account has.
func balanceFacts(b ledger.Balance) term.Facts {
	facts := term.Facts{
		{Name: "balance", Value: term.Text{Text: inCredits(b.Balance), Tone: term.Strong}},
		{Name: "held", Value: term.T(inCredits(b.Held))}, {Name: "available", Value: term.T(inCredits(b.Available))},
	}
	if b.Overage > 0 {
		facts = append(facts, term.Fact{Name: "owed beyond the floor", Value: term.Text{Text: inCredits(b.Overage), Tone: term.Warn}})
	}
	return append(facts, term.Fact{Name: "changed", Value: term.T(fmt.Sprintf("%s, version %d", time.UnixMilli(b.UpdatedAtMS).UTC().Format(rfc3339), b.Version))})
}

// accountView is a balance as scripts get it: whole micro-credits.
type accountView struct {
	Account   string `json:"account"`
	Balance   int64  `json:"balance_micro"`
	Held      int64  `json:"held_micro"`
	Available int64  `json:"available_micro"`
	Overage   int64  `json:"overage_micro"`
	Version   int64  `json:"version"`
	UpdatedAt string `json:"updated_at"`
}

func viewAccount(b ledger.Balance) accountView {
	return accountView{b.Account, b.Balance, b.Held, b.Available, b.Overage, b.Version, time.UnixMilli(b.UpdatedAtMS).UTC().Format(time.RFC3339Nano)}
}

type creditsShowResult struct {
	Database string      `json:"database"`
	Ledger   accountView `json:"ledger"`
	KV       kvCopy      `json:"kv"`
	balance  ledger.Balance
}

// kvCopy is what KV says of a balance, held against the ledger.
type kvCopy struct {
	Seen   bool   `json:"seen"`
	Why    string `json:"why,omitempty"` // why it was not seen
	Agrees bool   `json:"agrees"`
	Kind   string `json:"kind,omitempty"` // how it differs
	Says   string `json:"says,omitempty"`
	OnWay  bool   `json:"on_its_way"`
}

// copyOf looks at an account's copy in KV. Not seeing it is no error: the ledger was asked for.
func (d *Deps) copyOf(ctx context.Context, l *ledger.Ledger, b ledger.Balance) kvCopy {
	kv, err := d.balanceCopies(ctx)
	var held map[string]string
	if err == nil {
		held, err = kv.api.KVGetMany(ctx, kv.namespace, []string{copies.Prefix + b.Account})
	}
	if err != nil {
		return kvCopy{Why: err.Error()}
	}
	var text *string
	if value, ok := held[copies.Prefix+b.Account]; ok {
		text = &value
	}
	diff := copies.Compare(b, text, d.Now(), kv.grace)
	if diff == nil {
		return kvCopy{Seen: true, Agrees: true}
	}
	if diff.OnWay {
		if err := copies.Overdue(ctx, l, []*copies.Difference{diff}, d.Now(), kv.grace); err != nil {
			return kvCopy{Why: err.Error()}
		}
	}
	return kvCopy{Seen: true, Kind: string(diff.Kind), Says: diff.Says, OnWay: diff.OnWay}
}

func (c kvCopy) text() term.Text {
	switch {
	case !c.Seen:
		return term.DimText("not seen: " + c.Why)
	case c.Agrees:
		return term.Text{Text: "says the same", Tone: term.Good}
	case c.OnWay:
		return term.DimText(c.Kind + ", on its way: " + c.Says)
	}
	return term.Text{Text: c.Kind + ": it says " + c.Says, Tone: term.Bad}
}

func newCreditsShow(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "show ACCOUNT", Short: "Show what an account has, by the ledger, and whether its copy in KV agrees", Args: accountArg,
		Example: "  cogctl credits show ada@example.com\n  cogctl credits show ada@example.com --env production -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := runCreditsShow(cmd.Context(), d, args[0])
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/credits.show/v1", Data: r, Blocks: []term.Block{
				term.Line{term.Text{Text: r.Ledger.Account, Tone: term.Strong}, term.DimText("  credits, by the ledger at " + r.Database)}, append(balanceFacts(r.balance), term.Fact{Name: "copy in KV", Value: r.KV.text()}),
			}})
		},
	}
}

func runCreditsShow(ctx context.Context, d *Deps, account string) (*creditsShowResult, error) {
	conn, shown, err := d.ledgerSession(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	l := ledger.New(conn)
	b, err := l.Balance(ctx, account)
	if err != nil {
		return nil, explainAccount(err)
	}
	return &creditsShowResult{Database: shown, Ledger: viewAccount(b), KV: d.copyOf(ctx, l, b), balance: b}, nil
}

// purpose says what an entry was for, from what was noted with it.
func purpose(e ledger.Entry) string {
	var note map[string]any
	_ = json.Unmarshal(e.Meta, &note) // an entry without notes has no purpose to show
	var parts []string
	for _, name := range []string{"reason", "actor", "skill", "model", "provider", "route"} {
		if text, ok := note[name].(string); ok && text != "" {
			parts = append(parts, text)
		}
	}
	if e.Owed > 0 {
		parts = append(parts, "owed beyond the floor: "+inCredits(e.Owed))
	}
	return strings.Join(parts, " · ")
}

// moment reads a time as a person types it: a date (midnight in UTC), or RFC 3339.
func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "--%s %q is not a time", flag, text).WithHint("such as 2026-11-01, or 2026-11-01T08:30:00Z")
}

// period reads --since and --until.
func period(since, until string) (from, to time.Time, err error) {
	if from, err = moment("since", since); err != nil {
		return from, to, err
	}
	if to, err = moment("until", until); err == nil && !to.IsZero() && !from.Before(to) {
		err = fault.New(fault.Invalid, "--until %s is not after --since %s", until, since)
	}
	return from, to, err
}
