package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type limitsSetOptions struct {
	rate, creditsDay, reason, actor, keyFile string
	burst                                    int64
	lasts                                    time.Duration
	clear, dryRun                            bool
}

type limitsSetResult struct {
	DryRun bool         `json:"dry_run"`
	Before limitsResult `json:"before"`
	After  limitsResult `json:"after"` // of a dry run, what would count
}

func newLimitsSet(d *Deps) *cobra.Command {
	var o limitsSetOptions
	cmd := &cobra.Command{
		Use: "set SUBJECT", Short: "Give a caller or a tenant limits of its own, for a time or until they are cleared", Args: subjectArg,
		Long: "Give a caller or a tenant limits of its own, in the place of the contract's, for a time or until they are cleared. What is not said stays the contract's. They count with the next question, or within a second for who asks often; " +
			"what was spent and what is held stay as they are, so that a budget below them admits nothing until the day is over. It can be run again. It needs the admin key; on this machine it is known.",
		Example: "  cogctl limits set ada@example.com --credits-a-day 500 --for 24h --reason \"batch of order 1042\"\n  cogctl limits set guest:1f0c --rate 1/1m --burst 1 --reason \"abuse, ticket 7\" --dry-run\n  cogctl limits set ada@example.com --clear",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := runLimitsSet(cmd.Context(), d, args[0], o)
			if err != nil {
				return err
			}
			head := term.Headline(term.Pass, r.After.Subject+": these limits count from now on, on "+d.Env)
			if r.DryRun {
				head = term.Line{term.T(r.After.Subject + " on " + d.Env + " would have these limits; nothing was done")}
			}
			return d.Term.Print(term.Report{Schema: "cogctl/limits.set/v1", Data: r, Blocks: []term.Block{head, limitsFacts(r.After)}})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.rate, "rate", "", "a count and a period, such as 600/1m; with --burst")
	f.Int64Var(&o.burst, "burst", 0, "how many may come at once")
	f.StringVar(&o.creditsDay, "credits-a-day", "", "what may be spent in a day of UTC")
	f.DurationVar(&o.lasts, "for", 0, "after which the contract's limits count again (default: until they are cleared)")
	f.StringVar(&o.reason, "reason", "", "why; it is kept with the limits")
	f.StringVar(&o.actor, "actor", "", "who; it is kept with the limits (default: you, by $USER)")
	f.BoolVar(&o.clear, "clear", false, "take its own limits away: the contract's count again")
	f.StringVar(&o.keyFile, "admin-key-file", "", "file that holds the admin key")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would count, and change nothing")
	cmd.MarkFlagsRequiredTogether("rate", "burst")
	for _, flag := range []string{"rate", "credits-a-day", "for", "reason"} {
		cmd.MarkFlagsMutuallyExclusive("clear", flag)
	}
	cmd.MarkFlagsOneRequired("rate", "credits-a-day", "clear")
	must(cmd.MarkFlagFilename("admin-key-file"))
	return cmd
}

func runLimitsSet(ctx context.Context, d *Deps, who string, o limitsSetOptions) (*limitsSetResult, error) {
	s := subjectOf(who)
	body, change, err := d.limitsChange(s, o)
	if err != nil {
		return nil, err
	}
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	r := &limitsSetResult{DryRun: o.dryRun}
	if r.Before, err = d.limitsOf(ctx, t, o.keyFile, s); err != nil {
		return nil, err
	}
	if o.dryRun {
		r.After = r.Before
		change(&r.After)
		return r, nil
	}
	err = d.adminCall(ctx, t, o.keyFile, adminRequest{doing: "set the limits of " + who, method: http.MethodPut, path: limitsPath, body: body}, &r.After)
	return r, err
}

// limitsChange is what is sent, and what a dry run does in its place.
func (d *Deps) limitsChange(s subject, o limitsSetOptions) (body map[string]any, change func(*limitsResult), err error) {
	body = map[string]any{}
	if s.Tenant != "" {
		body["tenant"] = s.Tenant
	} else {
		body["caller"] = s.Caller
	}
	if o.clear {
		body["clear"] = true
		return body, func(r *limitsResult) { r.Own, r.Limits = nil, r.Contract }, nil
	}
	own := ownLimit{Actor: o.actor, Reason: strings.TrimSpace(o.reason)}
	if own.Actor == "" {
		own.Actor = strings.TrimSuffix("cogctl:"+d.Getenv("USER"), ":")
	}
	if own.Reason == "" || len(own.Reason) > 512 || len(own.Actor) > 128 || o.lasts < 0 {
		return nil, nil, fault.New(fault.Invalid, "limits need a --reason of up to 512 bytes, an --actor of up to 128, and --for a time that is to come")
	}
	body["actor"], body["reason"] = own.Actor, own.Reason
	if o.lasts > 0 {
		until := d.Now().Add(o.lasts).UTC().Format(time.RFC3339)
		own.Until, body["until"] = &until, until
	}
	var rate *limitRate
	if o.rate != "" {
		r, err := parseRate(o.rate, o.burst)
		if err != nil {
			return nil, nil, err
		}
		rate, body["rate"] = &r, r
	}
	var day *float64
	if o.creditsDay != "" {
		micro, err := toMicro(o.creditsDay)
		if err != nil || micro < 0 {
			return nil, nil, fault.New(fault.Invalid, "--credits-a-day %q is no number of credits", o.creditsDay)
		}
		n := float64(micro) / 1e6
		day, body["credits_a_day"] = &n, json.Number(credits(n))
	}
	return body, func(r *limitsResult) {
		r.Own, r.Limits = &own, r.Contract
		if rate != nil {
			r.Limits.Rate = *rate
		}
		if day != nil {
			r.Limits.CreditsDay = *day
		}
		r.Rate.Remaining = min(r.Rate.Remaining, r.Limits.Rate.Burst)
		r.Budget.Left = max(0, r.Limits.CreditsDay-r.Budget.Spent-r.Budget.Held)
	}, nil
}
