package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type adjustOptions struct {
	set, delta, reason, actor, key, keyFile string
	dryRun                                  bool
}

// adjustment is one change that an operator wants, and what names it. Amounts are micro-credits.
type adjustment struct {
	Env     string `json:"env"`
	Account string `json:"account"`
	Set     *int64 `json:"set_micro,omitempty"`
	Delta   *int64 `json:"delta_micro,omitempty"`
	Reason  string `json:"reason"`
	Actor   string `json:"actor"`
}

type adjustResult struct {
	adjustment
	Key     string `json:"idempotency_key"`
	Again   bool   `json:"resumed"` // a run before this one did not hear what became of it, and left its key
	Outcome string `json:"outcome"` // posted, unchanged, duplicate; "planned" of a dry run
	Before  *int64 `json:"balance_before_micro"`
	After   int64  `json:"balance_after_micro"`
	Applied int64  `json:"applied_micro"`
	ID      string `json:"id,omitempty"` // of the transfer
	DryRun  bool   `json:"dry_run"`
}

func newCreditsAdjust(d *Deps) *cobra.Command {
	var o adjustOptions
	cmd := &cobra.Command{
		Use: "adjust ACCOUNT", Short: "Give credits, take some, or set the balance; once, and with a reason", Args: accountArg,
		Long: "Give credits, take some, or set the balance, through the platform, which keeps who, why and what came of it. The change has an idempotency key: should the answer be lost, " +
			"the same command finds the key that it used and asks again with it, so that nothing is given twice; once it has an answer, the same command is a new change. " +
			"It needs the admin key, from --admin-key-file or COGCTL_ADMIN_KEY; on this machine it is known.",
		Example: "  cogctl credits adjust ada@example.com --delta 25 --reason \"refund of order 1042\" --dry-run\n  cogctl credits adjust ada@example.com --delta=-2.5 --reason \"charged twice\"\n  cogctl credits adjust ada@example.com --set 100 --reason \"opening balance\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := runAdjust(cmd.Context(), d, args[0], o)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/credits.adjust/v1", Data: r, Blocks: adjustBlocks(r)})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.delta, "delta", "", "credits to give, or with a minus to take: --delta=-2.5")
	f.StringVar(&o.set, "set", "", "credits that the balance shall be")
	f.StringVar(&o.reason, "reason", "", "why; it is kept with the change")
	f.StringVar(&o.actor, "actor", "", "who; it is kept with the change (default: you, by $USER)")
	f.StringVar(&o.key, "key", "", "idempotency key (default: made, and kept until there is an answer)")
	f.StringVar(&o.keyFile, "admin-key-file", "", "file that holds the admin key")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the balance before and after, and change nothing")
	cmd.MarkFlagsMutuallyExclusive("set", "delta")
	cmd.MarkFlagsOneRequired("set", "delta")
	must(cmd.MarkFlagRequired("reason"))
	must(cmd.MarkFlagFilename("admin-key-file"))
	return cmd
}

// actor is who is named, or who runs this.
func (d *Deps) actor(named string) string {
	if named != "" {
		return named
	}
	return strings.TrimSuffix("cogctl:"+d.Getenv("USER"), ":")
}

func (d *Deps) adjustment(account string, o adjustOptions) (a adjustment, err error) {
	a = adjustment{Env: d.Env, Account: strings.ToLower(strings.TrimSpace(account)), Reason: strings.TrimSpace(o.reason), Actor: d.actor(o.actor)}
	amount, text := &a.Delta, o.delta
	if o.set != "" {
		amount, text = &a.Set, o.set
	}
	micro, err := toMicro(text)
	*amount = &micro
	switch {
	case err != nil:
		return a, err
	case a.Reason == "" || len(a.Reason) > 512 || len(a.Actor) > 128:
		return a, fault.New(fault.Invalid, "a change of credits needs a --reason of up to 512 bytes, and an --actor of up to 128")
	case a.Delta != nil && *a.Delta == 0:
		return a, fault.New(fault.Invalid, "--delta 0 changes nothing")
	case len(o.key) > 200:
		return a, fault.New(fault.Invalid, "--key has more than 200 characters")
	}
	return a, nil
}

func runAdjust(ctx context.Context, d *Deps, account string, o adjustOptions) (*adjustResult, error) {
	a, err := d.adjustment(account, o)
	if err != nil {
		return nil, err
	}
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	r := &adjustResult{adjustment: a, Key: o.key, DryRun: o.dryRun}
	if r.Before, err = d.balanceNow(ctx, t, o.keyFile, a.Account); err != nil {
		return nil, err
	}
	notes, err := d.adjustNotes()
	if err != nil {
		return nil, err
	}
	if o.dryRun {
		return r.plan(notes), nil
	}
	if r.Key == "" {
		if r.Key, r.Again, err = notes.key(a); err != nil {
			return nil, err
		}
	}
	if err := d.sendAdjustment(ctx, t, o.keyFile, r); err != nil {
		if settledRefusal(err) {
			return nil, errors.Join(err, notes.forget(a))
		}
		return nil, fault.New(fault.KindOf(err), "%w; it may have been done", err).WithHint("run the same command again: it asks with the same key, so nothing is given twice")
	}
	return r, notes.forget(a)
}

// settledRefusal is an answer that says that nothing was done, whatever is asked again.
func settledRefusal(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Denied, fault.Conflict, fault.NotFound, fault.Unauthenticated:
		return true
	}
	return false
}

// balanceNow asks the platform; nil when it does not know the account yet.
func (d *Deps) balanceNow(ctx context.Context, t *audit.Target, keyFile, account string) (*int64, error) {
	var answer struct {
		Balance json.Number `json:"balance_credits"`
	}
	path := "/api/credits?email=" + url.QueryEscape(account)
	err := d.adminCall(ctx, t, keyFile, adminRequest{doing: "read the balance of " + account, method: http.MethodGet, path: path, header: http.Header{"X-User-Email": {account}}}, &answer)
	if errors.Is(err, fault.NotFound) && strings.Contains(err.Error(), "account_unknown") {
		return nil, nil //nolint:nilnil // an account that is not there yet has no balance, which is no error
	}
	if err != nil {
		return nil, err
	}
	micro, err := microOfNumber(answer.Balance)
	return &micro, err
}

// microOfNumber reads an amount as the platform writes it.
func microOfNumber(n json.Number) (int64, error) {
	r, ok := new(big.Rat).SetString(n.String())
	if !ok || len(n) > 40 || !r.Mul(r, big.NewRat(1_000_000, 1)).IsInt() || !r.Num().IsInt64() {
		return 0, fault.New(fault.Unavailable, "the platform answers %.40q where an amount of credits should be", n.String())
	}
	return r.Num().Int64(), nil
}

func (d *Deps) sendAdjustment(ctx context.Context, t *audit.Target, keyFile string, r *adjustResult) error {
	body := map[string]any{"email": r.Account, "reason": r.Reason, "actor": r.Actor}
	for name, micro := range map[string]*int64{"set": r.Set, "delta": r.Delta} {
		if micro != nil {
			body[name] = json.Number(inCredits(*micro))
		}
	}
	var answer struct {
		Outcome string      `json:"outcome"`
		ID      string      `json:"id"`
		Applied json.Number `json:"applied_credits"`
		Balance json.Number `json:"balance_credits"`
	}
	err := d.adminCall(ctx, t, keyFile, adminRequest{
		doing: "adjust the credits of " + r.Account, method: http.MethodPost, path: "/api/credits/adjust", header: http.Header{"Idempotency-Key": {r.Key}}, body: body,
	}, &answer)
	if err != nil {
		return err
	}
	r.Outcome, r.ID = answer.Outcome, answer.ID
	if r.Applied, err = microOfNumber(answer.Applied); err != nil {
		return err
	}
	r.After, err = microOfNumber(answer.Balance)
	return err
}

// plan is what a run would do.
func (r *adjustResult) plan(notes *adjustNotes) *adjustResult {
	if r.Key == "" {
		r.Key, r.Again = notes.pending(r.adjustment)
	}
	r.Outcome = "planned"
	before := int64(0)
	if r.Before != nil {
		before = *r.Before
	}
	if r.After = before; r.Set != nil {
		r.After = *r.Set
	} else {
		r.After += *r.Delta
	}
	r.Applied = r.After - before
	return r
}

func adjustBlocks(r *adjustResult) []term.Block {
	before := "no account yet"
	if r.Before != nil {
		before = inCredits(*r.Before)
	}
	facts := term.Facts{
		{Name: "before", Value: term.T(before)}, {Name: "change", Value: term.T(inCredits(r.Applied))}, {Name: "after", Value: term.Text{Text: inCredits(r.After), Tone: term.Strong}},
		{Name: "reason", Value: term.T(r.Reason)}, {Name: "by", Value: term.T(r.Actor)},
	}
	if r.Key != "" {
		facts = append(facts, term.Fact{Name: "key", Value: term.DimText(r.Key)})
	}
	var head term.Line
	switch r.Outcome {
	case "planned":
		head = term.Line{term.T(r.Account + " on " + r.Env + " would be changed; nothing was done")}
		if r.Again {
			head = term.Line{term.T(r.Account + " on " + r.Env + ": a run before this one left its key; a run would ask again with it, and may find it done already")}
		}
	case "duplicate":
		head = term.Headline(term.Pass, r.Account+": this change was made before, under the same key; nothing was done now")
	case "unchanged":
		head = term.Headline(term.Pass, r.Account+": the balance was so already")
	default:
		head = term.Headline(term.Pass, fmt.Sprintf("%s: %s on %s", r.Account, r.Outcome, r.Env))
	}
	return []term.Block{head, facts}
}
