// Package suite lists the checks that prove each phase, explicitly and in the order they are shown.
package suite

import (
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/ai"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/audit/faults"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/audit/money"
	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/contract"
)

// Phase0 is what holds when the platform stands: one hostname, one Worker, one CORS layer, one verifiable identity.
func Phase0() []audit.Check {
	return []audit.Check{cors.Check(), ai.Check(), jwks.Check(), routes.Check()}
}

// Burst is how much usage is sent where nobody says how much.
const Burst = 300

// Phase1 is what holds when money flows: what is read is the ledger's, and a burst of that size is in the ledger, once.
func Phase1(burst int) []audit.Check { return money.Checks(burst) }

// Phase2 is what holds when models are asked: a provider's fault is nobody's outage. With names it tries those faults alone.
func Phase2(names []string) []audit.Check { return []audit.Check{faults.Some(names)} }

// All is every check whose proofs can be verified whatever the contract says; a check that keeps proofs belongs here or in For.
func All() []audit.Check {
	return slices.Concat(
		madeBy("prove phase0 --env {env}", Phase0()...),
		madeBy("prove phase1 --env {env}", append(Phase1(Burst), money.OffPath())...),
		madeBy("prove phase2 --env {env}", Phase2(nil)...),
		madeBy("report --run --env {env}", cors.Matrix()),
		madeBy("promote", promotion.Check()),
	)
}

func madeBy(command string, checks ...audit.Check) []audit.Check {
	for i := range checks {
		checks[i].Made = command
	}
	return checks
}

// liveWindow is how far back live traffic is looked at when nobody says.
const liveWindow = time.Hour

// For is every check whose proofs can be verified under a contract: All, and those of its objectives, by load and by live traffic.
func For(c *contract.Contract) []audit.Check {
	all := All()
	for _, check := range slo.Checks(c) {
		all = append(all, madeBy("slo prove "+strings.TrimPrefix(check.Name, slo.Prefix)+" --env {env}", check)...)
	}
	return append(all, madeBy("slo prove --from analytics --env {env}", slo.LiveChecks(c, liveWindow)...)...)
}
