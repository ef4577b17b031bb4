// Package faults checks that a model provider's fault is nobody's outage: whatever one or two providers do wrong, the one that lives answers, each answer is charged once, and a model that failed is left alone.
package faults

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

const askPath = "/api/si/ask"

// plan is one way in which a provider goes wrong, as people call it.
type plan struct {
	name  string
	fault audit.ProviderFault
	slow  bool // its callers wait for a time to be over
}

// inMidst is after how many events a stream goes wrong: in the middle of what it has to say. It is less than half of that, so that
// whoever goes on from there and has a fault too does not come to the end before it.
const inMidst = 9

// plans are the ways in which a provider goes wrong, in the order of the table. Neighbours are tried together, one on each of two
// providers; the last two are those that take their time.
var plans = []plan{
	{"connect refused", audit.ProviderFault{Kind: "refuse"}, false},
	{"DNS", audit.ProviderFault{Kind: "dns"}, false},
	{"TLS", audit.ProviderFault{Kind: "tls"}, false},
	{"401", audit.ProviderFault{Kind: "401"}, false},
	{"402", audit.ProviderFault{Kind: "402"}, false},
	{"429", audit.ProviderFault{Kind: "429"}, false},
	{"429, Retry-After", audit.ProviderFault{Kind: "429", RetryAfterS: 60}, false},
	{"500", audit.ProviderFault{Kind: "500"}, false},
	{"cut", audit.ProviderFault{Kind: "cut", After: inMidst}, false},
	{"malformed", audit.ProviderFault{Kind: "malformed", After: inMidst}, false},
	{"HTML", audit.ProviderFault{Kind: "html"}, false},
	{"empty", audit.ProviderFault{Kind: "empty"}, false},
	{"slow headers", audit.ProviderFault{Kind: "slow-headers"}, true},
	{"stalled", audit.ProviderFault{Kind: "stall", After: inMidst}, true},
}

// Names are the faults of the matrix.
func Names() []string {
	names := make([]string, len(plans))
	for i, p := range plans {
		names[i] = p.name
	}
	return names
}

// Check tries every fault on every provider.
func Check() audit.Check { return Some(nil) }

// Some tries the faults that are named, and leaves open what the others would have shown; none named are all.
func Some(names []string) audit.Check {
	return audit.Check{
		Name: "provider-faults", Title: "a provider's fault is nobody's outage", Judge: audit.Rejudge(judge),
		Run: func(ctx context.Context, t *audit.Target) (audit.Result, error) { return run(ctx, t, names) },
	}
}

// Evidence is every round, in the order in which they were made.
type Evidence struct {
	URL    string    `json:"url"`
	At     time.Time `json:"at"`
	Tier   string    `json:"tier"`
	Rounds []Round   `json:"rounds"`
}

// Round is one time that two providers were made to fail, each in its way, while the third lived.
type Round struct {
	Faults map[string]string `json:"faults"` // by provider
	Asked  []Asked           `json:"asked"`
	// Tried and Spared count the requests that the doubles got for each model of the tier: until its breaker was open, and after.
	Tried  map[string]int `json:"tried"`
	Spared map[string]int `json:"spared"`
	// Open is which of these models the platform left alone from before the second time of asking until after it.
	Open    []string `json:"open"`
	Account string   `json:"account"`
	Ledger  Charged  `json:"ledger"`
}

// Asked is one question and what came of it.
type Asked struct {
	First     string `json:"first"` // the provider that was to be asked first
	Stream    bool   `json:"stream,omitempty"`
	Open      bool   `json:"open,omitempty"`  // asked when the breakers were open
	Again     bool   `json:"again,omitempty"` // asked again under the same Idempotency-Key
	Status    int    `json:"status"`
	By        string `json:"by"` // the provider that brought the answer to its end
	Finish    string `json:"finish"`
	Text      string `json:"text"`
	TokensIn  int64  `json:"tokens_in"`
	TokensOut int64  `json:"tokens_out"`
	Attempts  int    `json:"attempts"`
	TookUS    int64  `json:"took_us"`
}

// Charged is what the ledger has of a round's account.
type Charged struct {
	Charges int   `json:"charges"`
	Micro   int64 `json:"micro"`
}

// couple is two faults that are tried together.
type couple [2]plan

// couples pairs neighbours among the faults that are asked for; one that is left over goes with itself.
func couples(names []string) ([]couple, error) {
	var chosen []plan
	for _, p := range plans {
		if len(names) == 0 || slices.Contains(names, p.name) || slices.Contains(names, p.fault.Kind) {
			chosen = append(chosen, p)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(chosen, func(p plan) bool { return p.name == name || p.fault.Kind == name }) {
			return nil, fault.New(fault.Invalid, "no fault is called %q", name).WithHint("one of: %q", Names())
		}
	}
	var all []couple
	for i := 0; i < len(chosen); i += 2 {
		all = append(all, couple{chosen[i], chosen[min(i+1, len(chosen)-1)]})
	}
	return all, nil
}

func run(ctx context.Context, t *audit.Target, names []string) (audit.Result, error) {
	todo, err := couples(names)
	if err != nil {
		return audit.Result{}, err
	}
	b, err := newBed(ctx, t)
	if err != nil {
		return audit.Result{}, err
	}
	defer func() { _ = b.mend(context.WithoutCancel(ctx)) }() // faults end with the local cloud, and breakers by themselves
	e := Evidence{URL: t.PublicURL(askPath), At: t.Now().UTC().Truncate(time.Second), Tier: b.tier}
	for _, two := range todo {
		for turn := range b.providers {
			r, err := b.round(ctx, two, turn, len(e.Rounds))
			if err != nil {
				return audit.Result{}, err
			}
			e.Rounds = append(e.Rounds, r)
		}
	}
	if err := b.settle(ctx, e.Rounds); err != nil {
		return audit.Result{}, err
	}
	return judge(t, e)
}

func finding(code, url, got, want, message string) audit.Finding {
	return audit.Finding{
		Severity: audit.Error, Code: code, URL: url, Got: got, Want: want, Message: message, Resource: audit.Resource{Kind: "response", Name: url},
		Hint: "cogctl providers status; OPS.md, provider outage",
	}
}

// answered says whether an answer is whole and came from a provider that was well.
func (r Round) answered(a Asked) bool {
	_, failing := r.Faults[a.By]
	return a.Status == http.StatusOK && a.Finish == "stop" && a.By != "" && !failing && saidOnce(a.Text)
}

func spelt(r Round) string {
	names := make([]string, 0, len(r.Faults))
	for p, f := range r.Faults {
		names = append(names, fmt.Sprintf("%s: %s", p, f))
	}
	slices.Sort(names)
	return fmt.Sprint(names)
}
