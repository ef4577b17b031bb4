package contract

import (
	"net/url"
	"strings"
	"time"
)

// Gates is what must be proven before something is done, and the one way to production.
type Gates struct {
	Gates     map[string]Gate `json:"gates"`
	Promotion Promotion       `json:"promotion"`
}

// Gate is a list of proofs by the name of their check. Without an environment it is about the one that is asked for.
type Gate struct {
	Why    string                 `json:"why"`
	Env    string                 `json:"env,omitempty"`
	Proofs map[string]Requirement `json:"proofs"`
}

// Requirement is one proof that a gate wants, and how old it may be.
type Requirement struct {
	Why           string `json:"why"`
	MaxAgeMinutes int    `json:"max_age_minutes"`
}

// MaxAge is how old the proof may be.
func (r Requirement) MaxAge() time.Duration { return time.Duration(r.MaxAgeMinutes) * time.Minute }

// Promotion is how an environment is reached: through a gate, by a run that can prove which one it is.
type Promotion struct {
	Why  string `json:"why"`
	Gate string `json:"gate"`
	To   string `json:"to"`
	Run  Run    `json:"run"`
}

// Run is the only kind of run that may promote: what its OpenID token says of it.
type Run struct {
	Why         string `json:"why"`
	Issuer      string `json:"issuer"`
	Audience    string `json:"audience"`
	Repository  string `json:"repository"`
	Ref         string `json:"ref"`
	Workflow    string `json:"workflow"` // with the ref it is taken from
	Environment string `json:"environment"`
	Event       string `json:"event"`
}

func checkGates(c *Contract, rep *report) {
	const file = "gates.json"
	for _, name := range sorted(c.Gates.Gates) {
		g, at := c.Gates.Gates[name], join("gates", name)
		if !workerName.MatchString(name) {
			rep.addf(file, at, "is no name of a gate: lower-case letters, digits and dashes")
		}
		if _, ok := c.Envs[g.Env]; g.Env != "" && !ok {
			rep.addf(file, join(at, "env"), "names environment %q, which envs.json does not have", g.Env)
		}
		if len(g.Proofs) == 0 {
			rep.addf(file, join(at, "proofs"), "is empty: a gate that wants nothing is open")
		}
		for _, check := range sorted(g.Proofs) {
			if g.Proofs[check].MaxAgeMinutes == 0 {
				rep.addf(file, join(join(join(at, "proofs"), check), "max_age_minutes"), "is 0: no proof is that young")
			}
			if id, ok := strings.CutPrefix(check, "slo-"); ok {
				if _, known := c.SLO[id]; !known {
					rep.addf(file, join(join(at, "proofs"), check), "names objective %q, which slo.json does not have", id)
				}
			}
		}
	}
	checkPromotion(c, rep, file)
}

func checkPromotion(c *Contract, rep *report, file string) {
	p := c.Gates.Promotion
	g, ok := c.Gates.Gates[p.Gate]
	_, target := c.Envs[p.To]
	u, err := url.Parse(p.Run.Issuer)
	for _, rule := range []struct {
		broken bool
		path   string
		msg    string
	}{
		{!ok, "promotion.gate", "names no gate of this file"},
		{ok && g.Env == "", "promotion.gate", "names a gate that says no environment: it would be proven where it is released"},
		{ok && g.Env != "" && g.Env == p.To, "promotion.to", "is the environment that the gate is proven in"},
		{!target, "promotion.to", "names no environment of envs.json"},
		{err != nil || u.Scheme != "https" || u.Host == "" || strings.HasSuffix(p.Run.Issuer, "/"), "promotion.run.issuer", "is no https address without a slash at its end"},
		{p.Run.Audience == "", "promotion.run.audience", "is blank: a token for anybody would do"},
		{strings.Count(p.Run.Repository, "/") != 1, "promotion.run.repository", "is not owner/name"},
		{!strings.HasPrefix(p.Run.Ref, "refs/heads/"), "promotion.run.ref", "is no branch: refs/heads/NAME"},
		{!strings.HasPrefix(p.Run.Workflow, p.Run.Repository+"/.github/workflows/") || !strings.HasSuffix(p.Run.Workflow, "@"+p.Run.Ref), "promotion.run.workflow", "is no workflow of the repository at that branch"},
		{p.Run.Environment == "", "promotion.run.environment", "is blank: no reviewer would be asked"},
		{p.Run.Event == "", "promotion.run.event", "is blank: a pull request's run would do"},
	} {
		if rule.broken {
			rep.addf(file, rule.path, "%s", rule.msg)
		}
	}
}
