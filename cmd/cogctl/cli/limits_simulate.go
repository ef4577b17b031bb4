package cli

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type simulateOptions struct {
	rate, keyFile    string
	burst            int64
	creditsDay       float64
	rps, hold, costs float64
	weight, calls    int
	takes            time.Duration
}

// simulated is what the platform's own functions did with the calls.
type simulated struct {
	Admitted        int64    `json:"admitted"`
	RateLimited     int64    `json:"rate_limited"`
	BudgetExhausted int64    `json:"budget_exhausted"`
	Spent           float64  `json:"spent_credits"`
	MostHeld        float64  `json:"most_held_credits"`
	FirstRefusedMS  *float64 `json:"first_refused_ms"`
	LongestRetryMS  float64  `json:"longest_retry_ms"`
}

type simulateResult struct {
	Limits limitValues `json:"limits"`
	Calls  int         `json:"calls"`
	RPS    float64     `json:"rps"`
	simulated
}

func newLimitsSimulate(d *Deps) *cobra.Command {
	var o simulateOptions
	cmd := &cobra.Command{
		Use: "simulate", Short: "Try limits on calls that nobody makes, with the functions that decide", Args: cobra.NoArgs,
		Long: "Try limits on calls that nobody makes. The platform's own Worker decides over them, with the functions that decide over everybody's questions, and keeps nothing of it. " +
			"The calls come evenly. It needs the admin key; on this machine it is known.",
		Example: "  cogctl limits simulate --rate 600/1m --burst 100 --rps 25\n  cogctl limits simulate --rate 60/1m --burst 30 --rps 1 --credits-a-day 2 --hold 0.06 --costs 0.01 --takes 3s",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := runSimulate(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/limits.simulate/v1", Data: r, Blocks: simulateBlocks(r)})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.rate, "rate", "", "a count and a period, such as 600/1m")
	f.Int64Var(&o.burst, "burst", 0, "how many may come at once")
	f.Float64Var(&o.creditsDay, "credits-a-day", 200, "what may be spent in a day")
	f.Float64Var(&o.rps, "rps", 0, "calls a second")
	f.IntVar(&o.calls, "calls", 1000, "how many, up to 10000")
	f.IntVar(&o.weight, "weight", 1, "what each takes of the rate: its tier's")
	f.Float64Var(&o.hold, "hold", 0.06, "credits that each may cost at most")
	f.Float64Var(&o.costs, "costs", 0.01, "credits that each costs")
	f.DurationVar(&o.takes, "takes", time.Second, "how long each lasts, and so holds what it may cost")
	f.StringVar(&o.keyFile, "admin-key-file", "", "file that holds the admin key")
	for _, flag := range []string{"rate", "burst", "rps"} {
		must(cmd.MarkFlagRequired(flag))
	}
	must(cmd.MarkFlagFilename("admin-key-file"))
	return cmd
}

func runSimulate(ctx context.Context, d *Deps, o simulateOptions) (*simulateResult, error) {
	rate, err := parseRate(o.rate, o.burst)
	if err != nil {
		return nil, err
	}
	if o.rps <= 0 {
		return nil, fault.New(fault.Invalid, "--rps is above 0")
	}
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	r := &simulateResult{Limits: limitValues{rate, o.creditsDay}, Calls: o.calls, RPS: o.rps}
	err = d.adminCall(ctx, t, o.keyFile, adminRequest{
		doing: "simulate limits", method: http.MethodPost, path: limitsPath + "/simulate", body: map[string]any{
			"rate": rate, "credits_a_day": o.creditsDay, "load": map[string]any{
				"calls": o.calls, "every_ms": 1000 / o.rps, "weight": o.weight, "hold_credits": o.hold, "cost_credits": o.costs, "takes_ms": o.takes.Milliseconds(),
			},
		},
	}, &r.simulated)
	return r, err
}

func simulateBlocks(r *simulateResult) []term.Block {
	first := "none"
	if r.FirstRefusedMS != nil {
		first = "after " + (time.Duration(*r.FirstRefusedMS) * time.Millisecond).String()
	}
	return []term.Block{
		term.Line{term.T(fmt.Sprintf("%d calls at %s a second, against %s and %s credits a day", r.Calls, credits(r.RPS), r.Limits.Rate, credits(r.Limits.CreditsDay)))},
		term.Facts{
			{Name: "admitted", Value: term.Text{Text: fmt.Sprint(r.Admitted), Tone: term.Strong}},
			{Name: "too often", Value: term.T(fmt.Sprint(r.RateLimited))}, {Name: "over budget", Value: term.T(fmt.Sprint(r.BudgetExhausted))},
			{Name: "first refused", Value: term.T(first)}, {Name: "longest Retry-After", Value: term.T((time.Duration(r.LongestRetryMS) * time.Millisecond).String())},
			{Name: "spent", Value: term.T(credits(r.Spent))}, {Name: "most held", Value: term.T(credits(r.MostHeld))},
		},
	}
}
