package contract

import "slices"

// ObjectClass is a Durable Object class that a Worker exports. It keeps its state in SQLite: the older storage is not offered to new classes.
type ObjectClass struct {
	Why string `json:"why"`
}

// ObjectOwner is the Worker that implements a Durable Object class.
func (c *Contract) ObjectOwner(class string) (worker string, ok bool) {
	for _, name := range sorted(c.Workers) {
		if _, ok = c.Workers[name].Objects[class]; ok {
			return name, true
		}
	}
	return "", false
}

// CallerLimits is how much one caller and one tenant may ask of the models.
type CallerLimits struct {
	Roles   map[string]Allowance `json:"roles"`   // of each caller, by its role
	Tenants Tenants              `json:"tenants"` // of all the callers of one tenant together
	Weights map[string]int       `json:"weights"` // what a request of a tier takes of a rate
	Keeping Keeping              `json:"keeping"`
}

// Allowance is a rate, and what may be spent in a day of UTC.
type Allowance struct {
	Why        string   `json:"why"`
	Rate       Rate     `json:"rate"`
	CreditsDay int      `json:"credits_a_day"`
	WhenDown   WhenDown `json:"when_down"`
}

// Rate is a number of weights in a period, and how many of them may come at once.
type Rate struct {
	Count   int `json:"count"`
	PeriodS int `json:"period_s"`
	Burst   int `json:"burst"`
}

// Shards is how many objects keep an allowance, of which each takes so many requests a second.
func (a Allowance) Shards(objectRPS int) int {
	each := max(1, objectRPS*a.Rate.PeriodS)
	return max(1, (a.Rate.Count+each-1)/each)
}

// WhenDown says what becomes of a request that nobody could decide about.
type WhenDown string

// What becomes of it.
const (
	DownAdmit  WhenDown = "admit"  // the ledger charges it all the same
	DownRefuse WhenDown = "refuse" // nobody would pay for it
)

// Tenants are the allowances of callers together.
type Tenants struct {
	Guests Allowance `json:"guests"` // all guests are one tenant: a new guest costs its maker nothing
	Each   Allowance `json:"each"`   // of every tenant that tokens name
}

// Keeping bounds what a limiter keeps, and how long it may take.
type Keeping struct {
	Why         string `json:"why"`
	HoldS       int    `json:"hold_s"`       // what a call may cost is held so long without hearing of it again
	RememberS   int    `json:"remember_s"`   // how long a settled call is known, so that saying it again changes nothing
	DecideMS    int    `json:"decide_ms"`    // after which the limiter counts as down
	ReconcileS  int    `json:"reconcile_s"`  // between two looks at the ledger, of an account that spends
	ObjectRPS   int    `json:"object_rps"`   // requests a second that one Durable Object takes; a tenant with a higher rate is kept by several
	LedgerLagS  int    `json:"ledger_lag_s"` // after which what was settled counts as in the ledger; below remember_s
	AdvanceMS   int    `json:"advance_ms"`   // who takes in advance accounts for it so often
	AdvancePart int    `json:"advance_part"` // one of so many parts of what is left is the most that is taken in advance
}

func checkObjects(c *Contract, rep *report) {
	const file = "workers.json"
	owner := map[string]string{}
	for _, name := range sorted(c.Workers) {
		for _, class := range sorted(c.Workers[name].Objects) {
			at := join(join(name, "objects"), class)
			if first, taken := owner[class]; taken {
				rep.addf(file, at, "is a class of %s already: a binding could not tell them apart", first)
			}
			owner[class] = name
			if !className.MatchString(class) {
				rep.addf(file, at, "is no class name")
			}
		}
	}
}

func checkLimits(c *Contract, rep *report) {
	const file = "limits.json"
	l := c.Limits
	for _, role := range sorted(c.Auth.Roles) {
		if _, ok := l.Roles[role]; !ok {
			rep.addf(file, "roles", "has nothing for role %q: it would have no limit", role)
		}
	}
	for _, role := range sorted(l.Roles) {
		if _, ok := c.Auth.Roles[role]; !ok {
			rep.addf(file, join("roles", role), "is no role of auth.json")
		}
		checkAllowance(rep, join("roles", role), l.Roles[role])
		if l.Roles[role].Shards(l.Keeping.ObjectRPS) > 1 {
			rep.addf(file, join("roles", role), "is a rate above keeping.object_rps: one object keeps a caller")
		}
	}
	checkAllowance(rep, "tenants.guests", l.Tenants.Guests)
	checkAllowance(rep, "tenants.each", l.Tenants.Each)
	for _, tier := range sorted(c.Models.Tiers) {
		if l.Weights[tier] == 0 {
			rep.addf(file, "weights", "has nothing for tier %q", tier)
		}
	}
	for _, tier := range sorted(l.Weights) {
		for _, a := range []Allowance{l.Tenants.Guests, l.Tenants.Each} {
			if l.Weights[tier] > a.Rate.Burst/a.Shards(l.Keeping.ObjectRPS) {
				rep.addf(file, join("weights", tier), "is over what an object of a tenant has of its burst: it would never be admitted")
			}
		}
		if _, ok := c.Models.Tiers[tier]; !ok {
			rep.addf(file, join("weights", tier), "is no tier of models.json")
		}
		for _, role := range sorted(l.Roles) {
			if l.Weights[tier] > l.Roles[role].Rate.Burst {
				rep.addf(file, join("weights", tier), "is over the burst of role %q: it would never be admitted", role)
			}
		}
	}
	checkKeeping(c, rep)
}

func checkAllowance(rep *report, at string, a Allowance) {
	const file = "limits.json"
	if a.Rate.Count == 0 || a.Rate.PeriodS == 0 || a.Rate.Burst == 0 || a.CreditsDay == 0 {
		rep.addf(file, at, "has a 0: nothing would ever be admitted")
	}
	if !slices.Contains([]WhenDown{DownAdmit, DownRefuse}, a.WhenDown) {
		rep.addf(file, join(at, "when_down"), "is %q, want %s or %s", a.WhenDown, DownAdmit, DownRefuse)
	}
}

func checkKeeping(c *Contract, rep *report) {
	const file = "limits.json"
	k := c.Limits.Keeping
	for _, rule := range []struct {
		broken    bool
		path, msg string
	}{
		{k.HoldS*1000 < c.Models.Times.OverallMS, "keeping.hold_s", "is below times.overall_ms of models.json: a call that is still going on would be given up"},
		{k.AdvanceMS == 0 || k.AdvanceMS*10 > k.HoldS*1000, "keeping.advance_ms", "wants to be above 0 and at most a tenth of keeping.hold_s: what is taken in advance would be given up while it is used"},
		{k.AdvancePart < 2, "keeping.advance_part", "wants to be 2 or more: one caller's advance would be all that is left"},
		{k.RememberS <= k.LedgerLagS || k.LedgerLagS == 0, "keeping.ledger_lag_s", "wants to be above 0 and below keeping.remember_s"},
		{k.DecideMS == 0 || k.DecideMS >= c.HTTP.Limits.ServiceTimeoutMS, "keeping.decide_ms", "wants to be above 0 and below limits.service_timeout_ms of http.json"},
		{k.ObjectRPS == 0, "keeping.object_rps", "is 0: an object that answers nobody"},
		{k.ReconcileS == 0, "keeping.reconcile_s", "is 0: it would do nothing else"},
	} {
		if rule.broken {
			rep.addf(file, rule.path, "%s", rule.msg)
		}
	}
}
