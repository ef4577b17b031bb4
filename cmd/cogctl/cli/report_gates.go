package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/gate"
	"github.com/cognomega/edge/audit/report"
	"github.com/cognomega/edge/contract"
)

// reportGates decides on every gate about the environment. One that is shut for want of evidence has no verdict.
func (d *Deps) reportGates(ctx context.Context, c *contract.Contract) ([]report.Gate, error) {
	gates := []report.Gate{}
	for _, name := range sortedKeys(c.Gates.Gates) {
		if env := c.Gates.Gates[name].Env; env != "" && env != d.Env {
			continue
		}
		decision, err := runGate(ctx, d, trustOptions{}, name)
		if err != nil {
			return nil, err
		}
		g := report.Gate{Name: name, Verdict: audit.Pass, Because: decision.Why}
		if !decision.Open {
			g.Verdict, g.Because = audit.Inconclusive, strings.Join(decision.Shut(), "; ")
		}
		if slices.ContainsFunc(decision.Links, func(l gate.Link) bool { return l.State == gate.Failed }) {
			g.Verdict = audit.Fail
		}
		gates = append(gates, g)
	}
	return gates, nil
}
