package main

import "github.com/cognomega/edge/contract"

// allowancesOf says times in milliseconds and money in micro-credits, as the Workers count.
func allowancesOf(c *contract.Contract) any {
	const second = 1000
	one := func(a contract.Allowance) map[string]any {
		return map[string]any{
			"rate":  map[string]int{"count": a.Rate.Count, "periodMs": a.Rate.PeriodS * second, "burst": a.Rate.Burst},
			"micro": int64(a.CreditsDay) * int64(c.Prices.Unit.MicroCreditsPerCredit), "whenDown": a.WhenDown,
		}
	}
	k := c.Limits.Keeping
	together := func(a contract.Allowance) any {
		made := one(a)
		made["shards"] = a.Shards(k.ObjectRPS)
		return made
	}
	roles := map[string]any{}
	for role, a := range c.Limits.Roles {
		roles[role] = one(a)
	}
	return map[string]any{
		"roles": roles, "guests": together(c.Limits.Tenants.Guests), "tenant": together(c.Limits.Tenants.Each), "weights": c.Limits.Weights,
		"keeping": map[string]int{
			"holdMs": k.HoldS * second, "rememberMs": k.RememberS * second, "decideMs": k.DecideMS, "reconcileMs": k.ReconcileS * second,
			"ledgerLagMs": k.LedgerLagS * second, "advanceMs": k.AdvanceMS, "advancePart": k.AdvancePart,
		},
	}
}
