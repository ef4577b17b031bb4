package routes

import (
	"context"
	"fmt"

	"github.com/cognomega/edge/audit"
)

// Check says that exactly one Worker owns the target's hostname: the contract's gateway.
func Check() audit.Check {
	return audit.Check{Name: "routes", Title: "one Worker owns the hostname", Run: run}
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
	j := Judge(capture, ExpectFor(t))
	r := audit.Conclude(j.Summary(), j.Findings, Evidence{capture, j})
	r.Verdict = j.Verdict(capture)
	return r, nil
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
