package contract

import (
	"slices"
	"strings"
)

// checkModels sees that every model can be reached, and that the times leave each its turn.
func checkModels(c *Contract, rep *report) {
	checkProviders(c, rep)
	checkTiers(c, rep)
	checkVision(c, rep)
	checkHearing(c, rep)
	checkTimes(c, rep)
}

// checkProviders sees that the Worker that speaks to a provider is bound to what that takes.
func checkProviders(c *Contract, rep *report) {
	const file = "models.json"
	for _, name := range sorted(c.Models.Providers) {
		p, at := c.Models.Providers[name], join("providers", name)
		switch p.Wire {
		case WireChat:
			checkBound(c, rep, join(at, "base"), p.Base, func(b Binding) bool { return b.Kind() == BindVar })
			checkBound(c, rep, join(at, "key"), p.Key, func(b Binding) bool { return b.Secret && b.Optional })
		case WireWorkersAI:
			checkBound(c, rep, join(at, "binding"), p.Binding, func(b Binding) bool { return b.AI })
		default:
			rep.addf(file, join(at, "wire"), "is %q, want chat or workers-ai", p.Wire)
		}
	}
}

func checkBound(c *Contract, rep *report, at, binding string, fits func(Binding) bool) {
	for _, name := range sorted(c.Workers) {
		if b, ok := c.Workers[name].Bindings[binding]; ok && fits(b) {
			return
		}
	}
	rep.addf("models.json", at, "names binding %q, which no Worker has in that kind", binding)
}

func checkTiers(c *Contract, rep *report) {
	const file = "models.json"
	if _, ok := c.Models.Tiers[c.Models.DefaultTier]; !ok {
		rep.addf(file, "default_tier", "is %q, which is no tier", c.Models.DefaultTier)
	} else if !c.Models.Tiers[c.Models.DefaultTier].Guests {
		rep.addf(file, "default_tier", "is %q, which guests may not ask for", c.Models.DefaultTier)
	}
	owner := map[string]string{}
	for _, name := range sorted(c.Models.Tiers) {
		t, at := c.Models.Tiers[name], join("tiers", name)
		for _, spelling := range append([]string{name}, t.Aliases...) {
			if first, taken := owner[spelling]; taken {
				rep.addf(file, at, "is called %q, as %s is", spelling, first)
			}
			owner[spelling] = name
		}
		if len(t.Models) == 0 {
			rep.addf(file, join(at, "models"), "is empty")
		}
		for i, m := range t.Models {
			if _, ok := c.Models.Providers[m.Provider]; !ok {
				rep.addf(file, index(join(at, "models"), i), "names provider %q, which is not among them", m.Provider)
			}
			if m.Model == "" || strings.ContainsAny(m.Model, ": \n") || slices.Index(t.Models, m) != i {
				rep.addf(file, index(join(at, "models"), i), "is no model, or one that is there already: %q", m.Model)
			}
		}
		if t.MaxTokens == 0 || t.MaxInputChars == 0 {
			rep.addf(file, at, "may read or write nothing: max_tokens and max_input_chars want to be above 0")
		}
		if t.MinTokens == 0 || t.MinTokens > t.MaxTokens {
			rep.addf(file, join(at, "min_tokens"), "wants to be from 1 to max_tokens")
		}
		checkHedge(c, rep, at, t)
	}
}

// checkHedge sees that there is another to ask, in another place, and time for it.
func checkHedge(c *Contract, rep *report, at string, t Tier) {
	if t.HedgeMS == 0 {
		return
	}
	if t.HedgeMS >= min(c.Models.Times.FirstTokenMS, c.Models.Times.AnswerMS) {
		rep.addf("models.json", join(at, "hedge_ms"), "is not below times.first_token_ms and times.answer_ms: the next model is asked then anyway")
	}
	if len(t.Models) < 2 || t.Models[0].Provider == t.Models[1].Provider {
		rep.addf("models.json", join(at, "hedge_ms"), "wants a second model at another provider: one that is slow is slow for both")
	}
}

func checkTimes(c *Contract, rep *report) {
	const file = "models.json"
	t, b := c.Models.Times, c.Models.Breaker
	longest := 0
	for _, tier := range c.Models.Tiers {
		longest = max(longest, len(tier.Models), len(tier.Sees))
	}
	for _, rule := range []struct {
		broken bool
		path   string
		msg    string
	}{
		{t.FirstTokenMS == 0 || t.AnswerMS == 0 || t.GapMS == 0, "times", "has a time of 0: nothing answers in that"},
		{longest*max(t.FirstTokenMS, t.AnswerMS) > t.OverallMS, "times.overall_ms", "is over before the last model of a tier has had its turn"},
		{t.OverallMS >= c.HTTP.Limits.ServiceTimeoutMS, "times.overall_ms", "is not below limits.service_timeout_ms of http.json: the gateway would answer first"},
		{b.Failures == 0 || b.WindowS == 0 || b.OpenS == 0 || b.PollS == 0, "breaker", "has a 0 where it would never open, or never close"},
		{b.MaxOpenS < b.OpenS, "breaker.max_open_s", "is below breaker.open_s"},
		{b.ProbeS*1000 < t.OverallMS, "breaker.probe_s", "is below times.overall_ms: a probe that is still going on would be given up"},
		{c.Models.Idempotency.KeepS < 60, "idempotency.keep_s", "is below 60, the shortest that KV keeps anything"},
		{c.Models.Idempotency.MaxKeyChars == 0, "idempotency.max_key_chars", "is 0"},
		{c.Models.Hedging.SharePercent == 0 || c.Models.Hedging.SharePercent > 50, "hedging.share_percent", "wants to be from 1 to 50: above it an outage would double what is asked"},
		{c.Models.Hedging.Burst == 0, "hedging.burst", "is 0: nothing would ever be saved up"},
		{c.Models.PromptCache.KeepS < 60, "prompt_cache.keep_s", "is below 60, the shortest that KV keeps anything"},
		{c.Models.PromptCache.MaxChars == 0, "prompt_cache.max_chars", "is 0: nothing would be kept"},
		{c.Models.PromptCache.LookMS == 0 || c.Models.PromptCache.LookMS > c.Limits.Keeping.DecideMS, "prompt_cache.look_ms", "wants to be above 0 and at most keeping.decide_ms of limits.json: looking goes beside the limiters"},
	} {
		if rule.broken {
			rep.addf(file, rule.path, "%s", rule.msg)
		}
	}
	for _, name := range sorted(c.Models.Skills) {
		if strings.TrimSpace(c.Models.Skills[name].System) == "" {
			rep.addf(file, join(join("skills", name), "system"), "is empty")
		}
	}
}
