package faults

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
)

// Cell is what one fault of one provider came to.
type Cell struct {
	Fault    string        `json:"fault"`
	Provider string        `json:"provider"`
	Verdict  audit.Verdict `json:"verdict"`
	Beside   string        `json:"beside"` // the other provider that failed at the same time
	Asked    int           `json:"asked"`  // with this provider first: streams and whole answers
	Streams  int           `json:"streams"`
	Answered int           `json:"answered"`
	Tried    int           `json:"tried"`  // requests that the failing model got before its breaker opened
	Spared   int           `json:"spared"` // and those that it got after: none is what is wanted
	Open     bool          `json:"open"`
	Charged  bool          `json:"charged_once"`
}

// Latency is how long callers waited for a provider's answers while those before it were left alone.
type Latency struct {
	Provider  string  `json:"provider"`
	Objective string  `json:"objective"`
	Answers   int     `json:"answers"`
	P90MS     float64 `json:"p90_ms"`
	MaxMS     int     `json:"max_ms"`
}

// Cells is the matrix of some evidence: by fault, then by provider.
func Cells(t *audit.Target, e Evidence) []Cell {
	var cells []Cell
	for _, name := range Names() {
		for _, m := range t.Contract.Models.Tiers[e.Tier].Models {
			if c, ok := cell(t, e, name, m.Provider); ok {
				cells = append(cells, c)
			}
		}
	}
	return cells
}

// cell puts every round together that tried a fault on a provider.
func cell(t *audit.Target, e Evidence, name, provider string) (Cell, bool) {
	c := Cell{Fault: name, Provider: provider, Open: true, Charged: true, Verdict: audit.Pass}
	for _, r := range e.Rounds {
		if r.Faults[provider] != name {
			continue
		}
		for other, f := range r.Faults {
			if other != provider {
				c.Beside = other + ": " + f
			}
		}
		for _, a := range r.Asked {
			if a.First == provider {
				c.add(r, a)
			}
		}
		c.Tried, c.Spared = c.Tried+r.Tried[provider], c.Spared+r.Spared[provider]
		c.Open = c.Open && slices.Contains(r.Open, provider)
		c.Charged = c.Charged && r.Ledger == r.answersOf(t)
	}
	if c.Answered < c.Asked || c.Spared > 0 || c.Tried == 0 || !c.Open || !c.Charged {
		c.Verdict = audit.Fail
	}
	return c, c.Asked > 0
}

func (c *Cell) add(r Round, a Asked) {
	c.Asked++
	if a.Stream {
		c.Streams++
	}
	if r.answered(a) {
		c.Answered++
	}
}

// answers is how many charges a round's account should have: one for each answer, and none for one that was given again.
func (r Round) answers() Charged {
	var c Charged
	for _, a := range r.Asked {
		if a.Status == http.StatusOK && !a.Again {
			c.Charges++
			c.Micro += a.TokensIn + a.TokensOut
		}
	}
	return c
}

func (r Round) answersOf(t *audit.Target) Charged {
	c := r.answers()
	c.Micro *= int64(t.Contract.Prices.Tokens.MicroCreditsPer1K / 1000)
	return c
}

// Latencies are of answers that were asked for while breakers were open, by who gave them.
func Latencies(t *audit.Target, e Evidence) []Latency {
	took := map[string][]int64{}
	for _, r := range e.Rounds {
		for _, a := range r.Asked {
			if a.Open && !a.Again && r.answered(a) {
				took[a.By] = append(took[a.By], a.TookUS)
			}
		}
	}
	var all []Latency
	for _, provider := range slices.Sorted(maps.Keys(took)) {
		if id, o, ok := objective(t.Contract, provider); ok {
			all = append(all, Latency{Provider: provider, Objective: id, Answers: len(took[provider]), P90MS: p90(took[provider]), MaxMS: o.MaxMS})
		}
	}
	return all
}

// objective is what the contract promises of a provider's answers to questions.
func objective(c *contract.Contract, provider string) (string, contract.Objective, bool) {
	for _, id := range slices.Sorted(maps.Keys(c.SLO)) {
		if o := c.SLO[id]; o.Probe.Answer.Header == "X-Provider" && o.Probe.Answer.Value == provider {
			return id, o, true
		}
	}
	return "", contract.Objective{}, false
}

func p90(took []int64) float64 {
	sorted := slices.Sorted(slices.Values(took))
	return float64(sorted[(len(sorted)*9+9)/10-1]) / 1000
}

func judge(t *audit.Target, e Evidence) (audit.Result, error) {
	if want := t.PublicURL(askPath); e.URL != want {
		return audit.Result{}, audit.Misfit("it is of %s, not of %s", e.URL, want)
	}
	if err := t.Recent(e.At); err != nil {
		return audit.Result{}, err
	}
	if _, ok := t.Contract.Models.Tiers[e.Tier]; !ok {
		return audit.Result{}, audit.Misfit("tier %q is not in the contract", e.Tier)
	}
	cells, latencies := Cells(t, e), Latencies(t, e)
	var found []audit.Finding
	for _, r := range e.Rounds {
		found = append(found, judgeRound(t, e, r)...)
	}
	answers := 0
	for _, c := range cells {
		answers += c.Answered
	}
	summary := fmt.Sprintf("%d cells, %d answers, each charged once; no request to an open breaker", len(cells), answers)
	for _, l := range latencies {
		if l.P90MS > float64(l.MaxMS) {
			found = append(found, finding("late_without_primary", e.URL, fmt.Sprintf("P90 %.0f ms of %d answers by %s", l.P90MS, l.Answers, l.Provider),
				fmt.Sprintf("at most %d ms (%s)", l.MaxMS, l.Objective), "answers are late while another provider is left alone"))
		}
		summary += fmt.Sprintf("; P90 %.0f ms by %s", l.P90MS, l.Provider)
	}
	want := len(plans) * len(t.Contract.Models.Tiers[e.Tier].Models)
	if len(found) == 0 && (len(cells) < want || len(latencies) < len(t.Contract.Models.Tiers[e.Tier].Models)) {
		return audit.Undecided(fmt.Sprintf("only %d of %d cells were tried: %s", len(cells), want, summary), e), nil
	}
	return audit.Conclude(summary, found, e), nil
}

// judgeRound finds what went wrong while two providers failed.
func judgeRound(t *audit.Target, e Evidence, r Round) []audit.Finding {
	var found []audit.Finding
	for _, a := range r.Asked {
		if !r.answered(a) {
			found = append(found, finding("not_answered", e.URL, fmt.Sprintf("%d, ended %q by %q: %.200q", a.Status, a.Finish, a.By, a.Text), "an answer of the provider that lives, every word once",
				fmt.Sprintf("%s first, stream %v, while %s", a.First, a.Stream, spelt(r))))
		}
	}
	for _, provider := range slices.Sorted(maps.Keys(r.Faults)) {
		switch {
		case r.Tried[provider] == 0:
			found = append(found, finding("fault_not_met", e.URL, "no request", "at least one to "+provider, "nothing was shown of "+provider+" while "+spelt(r)))
		case !slices.Contains(r.Open, provider):
			found = append(found, finding("breaker_not_open", e.URL, fmt.Sprintf("closed after %d failed requests", r.Tried[provider]), "open", provider+" is not left alone while "+spelt(r)))
		}
		if n := r.Spared[provider]; n > 0 {
			found = append(found, finding("open_breaker_asked", e.URL, fmt.Sprintf("%d requests", n), "none", provider+" was asked while it was to be left alone, while "+spelt(r)))
		}
	}
	if want := r.answersOf(t); r.Ledger != want {
		found = append(found, finding("not_charged_once", e.URL, fmt.Sprintf("%d charges of %d micro-credits", r.Ledger.Charges, r.Ledger.Micro),
			fmt.Sprintf("%d of %d", want.Charges, want.Micro), "the ledger does not have each answer once, while "+spelt(r)))
	}
	return found
}
