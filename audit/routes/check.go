package routes

import (
	"context"
	"fmt"
	"slices"

	"github.com/cognomega/edge/audit"
)

// Check says that exactly one Worker owns the target's hostname: the contract's gateway.
func Check() audit.Check {
	return audit.Check{Name: "routes", Title: "one Worker owns the hostname", Run: run, Judge: audit.Rejudge(rejudge)}
}

// Evidence is what the verdict was derived from.
type Evidence struct {
	Capture   *Capture  `json:"capture"`
	Judgement Judgement `json:"judgement"`
}

func run(ctx context.Context, t *audit.Target) (audit.Result, error) {
	capture, err := Collect(ctx, t.API, AskFor(t))
	if err != nil {
		return audit.Result{}, err
	}
	return conclude(t, capture), nil
}

func conclude(t *audit.Target, capture *Capture) audit.Result {
	j := Judge(capture, ExpectFor(t))
	r := audit.Conclude(j.Summary(), j.Findings, Evidence{capture, j})
	r.Verdict = j.Verdict(capture)
	return r
}

// rejudge takes the capture alone, after seeing that it is one of the target and that nothing was left out of it.
func rejudge(t *audit.Target, e Evidence) (audit.Result, error) {
	c := e.Capture
	switch {
	case c == nil || c.Schema != CaptureSchema:
		return audit.Result{}, audit.Misfit("it holds no capture of schema %s", CaptureSchema)
	case c.Host != t.Hostname || c.Zone.Name != t.ZoneName || c.Account != t.AccountID:
		return audit.Result{}, audit.Misfit("it is a capture of %s in zone %s of account %s", c.Host, c.Zone.Name, c.Account)
	}
	if err := t.Recent(c.At); err != nil {
		return audit.Result{}, err
	}
	for _, name := range slices.Sorted(slices.Values(AskFor(t).Workers)) {
		seen := slices.ContainsFunc(c.Workers, func(w Worker) bool { return w.Name == name })
		if !seen && !slices.ContainsFunc(c.Unseen, func(u Unseen) bool { return u.What == unseenSwitches }) {
			return audit.Result{}, audit.Misfit("it says nothing of Worker %s", name)
		}
	}
	return conclude(t, c), nil
}

// AskFor is what to collect for a target of the contract.
func AskFor(t *audit.Target) Ask {
	ask := Ask{Host: t.Hostname, Zone: t.ZoneName, At: t.Now()}
	if t.Contract != nil {
		for name := range t.Contract.Workers {
			ask.Workers = append(ask.Workers, name)
		}
	}
	return ask
}

// ExpectFor is what the contract says of a target: the gateway owns the host, and no Worker is reachable otherwise.
func ExpectFor(t *audit.Target) Expect {
	e := Expect{}
	if t.BaseURL != nil {
		e.BaseURL = t.PublicURL("")
	}
	if t.Contract != nil {
		e.Owner, e.Paths = t.Contract.Gateway(), t.Contract.PublicPaths()
		for name := range t.Contract.Workers {
			e.Closed = append(e.Closed, name)
		}
	}
	return e
}

// Summary is the judgement in one line.
func (j Judgement) Summary() string {
	shadows := 0
	for _, f := range j.Findings {
		if f.Severity == audit.Error {
			shadows++
		}
	}
	owner := j.Owner
	if owner == "" {
		return "no Worker owns " + j.Host
	}
	if j.Route != "" {
		owner += " (route " + j.Route + ")"
	}
	return fmt.Sprintf("%s, %s in zone %s", owner, count(shadows, "finding"), j.Zone)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
