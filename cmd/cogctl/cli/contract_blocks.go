package cli

import (
	"fmt"
	"strings"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/term"
)

// subjectBlock draws one subject of the contract; nil when there is no such subject.
func subjectBlock(c *contract.Contract, subject string) term.Block {
	switch subject {
	case "workers":
		return workerRows(c)
	case "paths":
		return pathRows(c)
	case "stores":
		return storeRows(c)
	case "keys":
		return keyRows(c)
	case "auth":
		return authFacts(c.Auth)
	case "cors":
		return corsFacts(c.HTTP.CORS)
	case "slo":
		return sloRows(c)
	case "models":
		return modelRows(c.Models)
	case "limits":
		return limitRows(c)
	case "prices":
		return priceFacts(c.Prices)
	case "envs":
		return envRows(c)
	case "gates":
		return gateRowsOf(c)
	default:
		return nil
	}
}

func workerRows(c *contract.Contract) term.Rows {
	rows := term.Rows{Columns: []string{"worker", "public", "bindings", "why"}}
	for _, name := range sortedKeys(c.Workers) {
		w := c.Workers[name]
		public := ""
		if w.Public {
			public = "yes"
		}
		rows.Rows = append(rows.Rows, term.Row(name, public, strings.Join(sortedKeys(w.Bindings), " "), w.Why))
	}
	return rows
}

func pathRows(c *contract.Contract) term.Rows {
	rows := term.Rows{Columns: []string{"path", "methods", "worker", "auth", "aliases"}}
	for _, path := range sortedKeys(c.HTTP.Paths) {
		p := c.HTTP.Paths[path]
		rows.Rows = append(rows.Rows, term.Row(path, strings.Join(p.Methods, " "), p.Worker, string(p.Auth), strings.Join(p.Aliases, " ")))
	}
	return rows
}

func storeRows(c *contract.Contract) term.Rows {
	rows := term.Rows{Columns: []string{"store", "kind", "name", "lifecycle", "why"}}
	for _, name := range sortedKeys(c.Stores) {
		s := c.Stores[name]
		rows.Rows = append(rows.Rows, term.Row(name, string(s.Kind), s.Name, strings.Join(sortedKeys(s.Lifecycle), " "), s.Why))
	}
	return rows
}

func keyRows(c *contract.Contract) term.Rows {
	rows := term.Rows{Columns: []string{"key", "store", "format", "why"}}
	for _, name := range sortedKeys(c.Keys) {
		k := c.Keys[name]
		rows.Rows = append(rows.Rows, term.Row(name, k.Store, k.Format, k.Why))
	}
	return rows
}

func authFacts(a contract.Auth) term.Facts {
	return term.Facts{
		{Name: "algorithm", Value: term.T(a.Token.Alg)},
		{Name: "token life", Value: term.T(fmt.Sprintf("%d s, clock skew %d s", a.Token.LifeS, a.Token.ClockSkewS))},
		{Name: "cookie", Value: term.T(a.Token.Cookie)},
		{Name: "JWKS max-age", Value: term.T(fmt.Sprintf("%d s, in the gateway %d s", a.JWKS.MaxAgeS, a.JWKS.GatewayCacheS))},
		{Name: "admin headers", Value: term.T(strings.Join(a.Admin.Headers, ", "))},
		{Name: "roles", Value: term.T(strings.Join(sortedKeys(a.Roles), ", "))},
	}
}

func corsFacts(c contract.CORS) term.Facts {
	return term.Facts{
		{Name: "methods", Value: term.T(strings.Join(c.Methods, ", "))},
		{Name: "allow headers", Value: term.T(strings.Join(c.AllowHeaders, ", "))},
		{Name: "expose headers", Value: term.T(strings.Join(c.ExposeHeaders, ", "))},
		{Name: "vary", Value: term.T(strings.Join(c.Vary, ", "))},
		{Name: "credentials", Value: term.T(fmt.Sprint(c.Credentials))},
		{Name: "max-age", Value: term.T(fmt.Sprintf("%d s", c.MaxAgeS))},
	}
}

func sloRows(c *contract.Contract) term.Rows {
	rows := term.Rows{Columns: []string{"objective", "promise", "probe", "why"}}
	for _, name := range sortedKeys(c.SLO) {
		o := c.SLO[name]
		rows.Rows = append(rows.Rows, term.Row(name, fmt.Sprintf("P%g ≤ %d ms", o.Quantile*100, o.MaxMS), o.Probe.Method+" "+o.Probe.Path, o.Why))
	}
	for _, name := range sortedKeys(c.Uptime) {
		u := c.Uptime[name]
		rows.Rows = append(rows.Rows, term.Row(name, fmt.Sprintf("%.6g %% end well", u.Share*100), "live traffic of "+u.Worker, u.Why))
	}
	for _, name := range sortedKeys(c.Flow) {
		f := c.Flow[name]
		rows.Rows = append(rows.Rows, term.Row(name, flowPromise(c, f), string(f.Kind)+" "+f.Store, f.Why))
	}
	p := c.Pressure
	rows.Rows = append(rows.Rows, term.Row("pressure", fmt.Sprintf("%d waiting or %d s late: 429", p.MaxBacklog, p.MaxLagS), p.Queue, p.Why))
	return rows
}

// flowPromise says what a flow objective promises, in words.
func flowPromise(c *contract.Contract, f contract.Flow) string {
	if f.Kind == contract.FlowDrain {
		return fmt.Sprintf("%d messages in %s are in the ledger ≤ %d s", f.Messages, c.Stores[f.Store].Name, f.MaxS)
	}
	return fmt.Sprintf("%s says what the ledger says ≤ %d s after a write", c.Stores[f.Store].Name, f.MaxS)
}

// modelRows lists the models of each tier in the order in which they are tried, a line each: their names are long.
func modelRows(m contract.Models) term.Rows {
	rows := term.Rows{Columns: []string{"tier", "for", "nth", "provider", "model", "at most"}}
	for _, tier := range sortedKeys(m.Tiers) {
		t := m.Tiers[tier]
		add := func(purpose, atMost string, models []contract.Model) {
			for i, model := range models {
				rows.Rows = append(rows.Rows, term.Row(tier, purpose, fmt.Sprint(i+1), model.Provider, model.Model, atMost))
			}
		}
		add("answers", fmt.Sprintf("%d tokens", t.MaxTokens), t.Models)
		add("images", fmt.Sprintf("%d images", t.MaxImages), named(t.Sees, func(model string) string { return m.Vision[model].Provider }))
		add("audio", fmt.Sprintf("%d s", t.MaxAudioSeconds), named(t.Hears, func(model string) string { return m.Hearing.Models[model].Provider }))
	}
	return rows
}

func named(models []string, provider func(model string) string) []contract.Model {
	all := make([]contract.Model, len(models))
	for i, model := range models {
		all[i] = contract.Model{Provider: provider(model), Model: model}
	}
	return all
}

// limitRows lists whose calls and spending are bounded, then what a call of each tier takes of a rate.
func limitRows(c *contract.Contract) term.Rows {
	rows := term.Rows{Columns: []string{"limit", "rate", "at once", "a day", "undecided", "why"}}
	add := func(name string, a contract.Allowance) {
		rate := fmt.Sprintf("%d in %d s", a.Rate.Count, a.Rate.PeriodS)
		if shards := a.Shards(c.Limits.Keeping.ObjectRPS); shards > 1 {
			rate += fmt.Sprintf(", by %d objects", shards)
		}
		rows.Rows = append(rows.Rows, term.Row(name, rate, fmt.Sprint(a.Rate.Burst), fmt.Sprintf("%d credits", a.CreditsDay), string(a.WhenDown), a.Why))
	}
	for _, role := range sortedKeys(c.Limits.Roles) {
		add("each "+role, c.Limits.Roles[role])
	}
	add("all guests", c.Limits.Tenants.Guests)
	add("each tenant", c.Limits.Tenants.Each)
	for _, tier := range sortedKeys(c.Limits.Weights) {
		rows.Rows = append(rows.Rows, term.Row("tier "+tier, fmt.Sprintf("takes %d", c.Limits.Weights[tier]), "", "", "", ""))
	}
	k := c.Limits.Keeping
	rows.Rows = append(rows.Rows, term.Row("holds", fmt.Sprintf("%d s", k.HoldS), "", "", fmt.Sprintf("after %d ms", k.DecideMS), k.Why))
	return rows
}

func priceFacts(p contract.Prices) term.Facts {
	return term.Facts{
		{Name: "credit", Value: term.T(fmt.Sprintf("%d micro-credits", p.Unit.MicroCreditsPerCredit))},
		{Name: "1,000 tokens", Value: term.T(fmt.Sprintf("%d micro-credits", p.Tokens.MicroCreditsPer1K))},
		{Name: "a second of audio", Value: term.T(fmt.Sprintf("%d micro-credits", p.Audio.MicroCreditsPerSecond))},
	}
}

func envRows(c *contract.Contract) term.Rows {
	rows := term.Rows{Columns: []string{"env", "hostname", "zone", "origins", "why"}}
	for _, name := range sortedKeys(c.Envs) {
		e := c.Envs[name]
		rows.Rows = append(rows.Rows, term.Row(name, e.Hostname, e.Zone, fmt.Sprint(len(e.Origins)), e.Why))
	}
	return rows
}

func gateRowsOf(c *contract.Contract) term.Rows {
	rows := term.Rows{Columns: []string{"gate", "environment", "proof", "max age", "why"}}
	for _, name := range sortedKeys(c.Gates.Gates) {
		g := c.Gates.Gates[name]
		env := g.Env
		if env == "" {
			env = "that of --env"
		}
		for _, check := range sortedKeys(g.Proofs) {
			rows.Rows = append(rows.Rows, term.Row(name, env, check, short(g.Proofs[check].MaxAge()), g.Proofs[check].Why))
		}
	}
	return rows
}
