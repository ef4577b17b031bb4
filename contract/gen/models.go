package main

import (
	"maps"
	"slices"

	"github.com/cognomega/edge/contract"
)

type tsTier struct {
	Models        []contract.Model `json:"models"`
	Guests        bool             `json:"guests"`
	MinTokens     int              `json:"minTokens"`
	MaxTokens     int              `json:"maxTokens"`
	MaxInputChars int              `json:"maxInputChars"`
	Weight        int              `json:"weight"`
	HedgeMs       int              `json:"hedgeMs,omitempty"`
}

// modelsOf spells out aliases of tiers, so that a Worker looks a name up once.
func modelsOf(m contract.Models, weights map[string]int) any {
	tiers, aliases := map[string]tsTier{}, map[string]string{}
	for name, t := range m.Tiers {
		tiers[name] = tsTier{t.Models, t.Guests, t.MinTokens, t.MaxTokens, t.MaxInputChars, weights[name], t.HedgeMS}
		for _, alias := range t.Aliases {
			aliases[alias] = name
		}
	}
	const second = 1000
	return map[string]any{
		"tiers": tiers, "aliases": aliases, "defaultTier": m.DefaultTier,
		"times": map[string]int{"firstTokenMs": m.Times.FirstTokenMS, "answerMs": m.Times.AnswerMS, "gapMs": m.Times.GapMS, "overallMs": m.Times.OverallMS},
		"breaker": map[string]int{
			"failures": m.Breaker.Failures, "windowMs": m.Breaker.WindowS * second, "openMs": m.Breaker.OpenS * second, "maxOpenMs": m.Breaker.MaxOpenS * second,
			"deniedMs": m.Breaker.DeniedS * second, "probeMs": m.Breaker.ProbeS * second, "pollMs": m.Breaker.PollS * second,
		},
		"hedging":     map[string]any{"share": float64(m.Hedging.SharePercent) / 100, "burst": m.Hedging.Burst},
		"idempotency": map[string]int{"keepS": m.Idempotency.KeepS, "maxKeyChars": m.Idempotency.MaxKeyChars},
		"promptCache": map[string]any{"keepS": m.PromptCache.KeepS, "maxChars": m.PromptCache.MaxChars, "lookMs": m.PromptCache.LookMS, "skills": cachedSkills(m)},
	}
}

// cachedSkills are those whose answers are kept without a word of the caller's.
func cachedSkills(m contract.Models) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(m.Skills)), func(name string) bool { return !m.Skills[name].Cached })
}

func skillsOf(m contract.Models) map[string]string {
	skills := map[string]string{}
	for name, s := range m.Skills {
		skills[name] = s.System
	}
	return skills
}
