package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

func newLimits(d *Deps) *cobra.Command {
	return newGroup("limits", "What callers and tenants may ask of the models, what they spent today, and limits of their own",
		"  cogctl limits show ada@example.com\n  cogctl limits set ada@example.com --credits-a-day 500 --for 24h --reason \"batch of order 1042\" --dry-run\n  cogctl limits simulate --rate 600/1m --burst 100 --rps 25",
		newLimitsShow(d), newLimitsSet(d), newLimitsSimulate(d))
}

// subject is one whose limits count: exactly one of the two is set.
type subject struct {
	Caller string `json:"caller,omitempty"`
	Tenant string `json:"tenant,omitempty"`
}

// subjectArg takes one caller, by what its tokens say; or a tenant, or all guests together.
func subjectArg(cmd *cobra.Command, args []string) error {
	if err := cobra.ExactArgs(1)(cmd, args); err != nil {
		return err
	}
	if s := subjectOf(args[0]); s.Caller+s.Tenant == "" || len(args[0]) > 320 {
		return fault.New(fault.Invalid, "%.60q names nobody", args[0]).WithHint("an e-mail, guest:<id>, tenant:<name>, or guests for all of them together")
	}
	return nil
}

func subjectOf(arg string) subject {
	if tenant, ok := strings.CutPrefix(arg, "tenant:"); ok {
		return subject{Tenant: tenant}
	}
	if arg == "guests" {
		return subject{Tenant: arg}
	}
	return subject{Caller: strings.ToLower(strings.TrimSpace(arg))}
}

func (s subject) query() string {
	if s.Tenant != "" {
		return "tenant=" + url.QueryEscape(s.Tenant)
	}
	return "caller=" + url.QueryEscape(s.Caller)
}

// limitRate is a number of weights in a period, and how many of them may come at once.
type limitRate struct {
	Count    int64 `json:"count"`
	PeriodMS int64 `json:"period_ms"`
	Burst    int64 `json:"burst"`
}

func (r limitRate) String() string {
	return fmt.Sprintf("%d in %s, %d at once", r.Count, time.Duration(r.PeriodMS)*time.Millisecond, r.Burst)
}

type limitValues struct {
	Rate       limitRate `json:"rate"`
	CreditsDay float64   `json:"credits_a_day"`
}

type ownLimit struct {
	Actor  string  `json:"actor"`
	Reason string  `json:"reason"`
	Until  *string `json:"until"`
}

// limitsResult is what the platform says of one caller or tenant.
type limitsResult struct {
	Subject  string      `json:"subject"`
	WhenDown string      `json:"when_down"`
	Limits   limitValues `json:"limits"`   // what counts now
	Contract limitValues `json:"contract"` // what would without limits of its own
	Own      *ownLimit   `json:"own"`
	Rate     struct {
		Remaining int64   `json:"remaining"`
		ResetMS   float64 `json:"reset_ms"`
	} `json:"rate"`
	Budget struct {
		Spent   float64 `json:"spent_credits"`
		Held    float64 `json:"held_credits"`
		Holds   int64   `json:"holds"`
		Left    float64 `json:"left_credits"`
		DayEnds string  `json:"day_ends"`
	} `json:"budget"`
	Ledger *float64 `json:"ledger_credits"` // what the ledger has of today, of an account
}

const limitsPath = "/api/admin/limits"

func (d *Deps) limitsOf(ctx context.Context, t *audit.Target, keyFile string, s subject) (r limitsResult, err error) {
	err = d.adminCall(ctx, t, keyFile, adminRequest{doing: "read the limits of " + s.Caller + s.Tenant, method: http.MethodGet, path: limitsPath + "?" + s.query()}, &r)
	return r, err
}

func credits(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func limitsFacts(r limitsResult) term.Facts {
	facts := term.Facts{
		{Name: "rate", Value: term.T(fmt.Sprintf("%s; %d left, all of it in %s", r.Limits.Rate, r.Rate.Remaining, time.Duration(r.Rate.ResetMS)*time.Millisecond))},
		{Name: "credits a day", Value: term.T(credits(r.Limits.CreditsDay))},
		{Name: "spent today", Value: term.Text{Text: credits(r.Budget.Spent), Tone: term.Strong}},
		{Name: "held", Value: term.T(fmt.Sprintf("%s for %d questions that are not over", credits(r.Budget.Held), r.Budget.Holds))},
		{Name: "left", Value: term.T(credits(r.Budget.Left) + " until " + r.Budget.DayEnds)},
	}
	if r.Ledger != nil {
		facts = append(facts, term.Fact{Name: "in the ledger", Value: term.T(credits(*r.Ledger) + " today")})
	}
	if r.Own != nil {
		until := "until it is cleared"
		if r.Own.Until != nil {
			until = "until " + *r.Own.Until
		}
		facts = append(facts, term.Fact{Name: "its own", Value: term.T(fmt.Sprintf("by %s, %s: %s", r.Own.Actor, until, r.Own.Reason))},
			term.Fact{Name: "in the contract", Value: term.DimText(fmt.Sprintf("%s; %s credits a day", r.Contract.Rate, credits(r.Contract.CreditsDay)))})
	}
	return append(facts, term.Fact{Name: "limiter away", Value: term.DimText("then questions are " + map[string]string{"admit": "answered", "refuse": "refused"}[r.WhenDown])})
}

// parseRate reads 600/1m: a count, and a period.
func parseRate(text string, burst int64) (limitRate, error) {
	count, period, _ := strings.Cut(text, "/")
	n, err := strconv.ParseInt(count, 10, 64)
	p, err2 := time.ParseDuration(period)
	if err != nil || err2 != nil || n < 1 || p < time.Millisecond {
		return limitRate{}, fault.New(fault.Invalid, "%q is no rate", text).WithHint("a count and a period, such as 600/1m")
	}
	if burst < 1 {
		return limitRate{}, fault.New(fault.Invalid, "a rate needs a --burst: how many may come at once")
	}
	return limitRate{Count: n, PeriodMS: p.Milliseconds(), Burst: burst}, nil
}
