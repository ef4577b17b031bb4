package main

import "github.com/cognomega/edge/contract"

// allowancesOf says times in milliseconds and money in micro-credits, as the Workers count.
func allowancesOf(c *contract.Contract) any {
	const second = 1000
	one := func(a contract.Allowance) any {
		return map[string]any{
			"rate":  map[string]int{"count": a.Rate.Count, "periodMs": a.Rate.PeriodS * second, "burst": a.Rate.Burst},
			"micro": int64(a.CreditsDay) * int64(c.Prices.Unit.MicroCreditsPerCredit), "whenDown": a.WhenDown,
		}
	}
	roles := map[string]any{}
	for role, a := range c.Limits.Roles {
		roles[role] = one(a)
	}
	k := c.Limits.Keeping
	return map[string]any{
		"roles": roles, "guests": one(c.Limits.Tenants.Guests), "tenant": one(c.Limits.Tenants.Each), "weights": c.Limits.Weights,
		"keeping": map[string]int{
			"holdMs": k.HoldS * second, "rememberMs": k.RememberS * second, "decideMs": k.DecideMS, "reconcileMs": k.ReconcileS * second,
			"ledgerLagMs": k.LedgerLagS * second,
		},
	}
}
