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
	Sees          []contract.Model `json:"sees"`
	Images        tsImages         `json:"images"`
	Hears         []contract.Model `json:"hears"`
	Audio         tsAudio          `json:"audio"`
}

// tsImages bounds what a tier is shown.
type tsImages struct {
	Max       int `json:"max"`
	EachBytes int `json:"eachBytes"`
	AllBytes  int `json:"allBytes"`
	Tokens    int `json:"tokens"` // the most that one comes to, at any model that the tier shows it
}

// tsAudio bounds what a tier hears in one question.
type tsAudio struct {
	Max     int `json:"max"`
	Seconds int `json:"seconds"`
	Bytes   int `json:"bytes"`
}

// modelsOf spells out aliases of tiers, so that a Worker looks a name up once.
func modelsOf(m contract.Models, weights map[string]int) any {
	tiers, aliases := map[string]tsTier{}, map[string]string{}
	for name, t := range m.Tiers {
		sees, tokens := make([]contract.Model, 0, len(t.Sees)), 0
		for _, model := range t.Sees {
			sees = append(sees, contract.Model{Provider: m.Vision[model].Provider, Model: model})
			tokens = max(tokens, m.Vision[model].ImageTokens)
		}
		hears := make([]contract.Model, 0, len(t.Hears))
		for _, model := range t.Hears {
			hears = append(hears, contract.Model{Provider: m.Hearing.Models[model].Provider, Model: model})
		}
		audio := tsAudio{t.MaxAudios, t.MaxAudioSeconds, t.MaxAudioBytes}
		images := tsImages{t.MaxImages, t.MaxImageBytes, t.MaxImagesBytes, tokens}
		tiers[name] = tsTier{t.Models, t.Guests, t.MinTokens, t.MaxTokens, t.MaxInputChars, weights[name], t.HedgeMS, sees, images, hears, audio}
		for _, alias := range t.Aliases {
			aliases[alias] = name
		}
	}
	const second = 1000
	return map[string]any{
		"tiers": tiers, "aliases": aliases, "defaultTier": m.DefaultTier, "details": detailsOf(m),
		"hearing": map[string]int{"windowMs": m.Hearing.WindowS * second, "windowBytes": m.Hearing.WindowBytes},
		"times":   map[string]int{"hearMs": m.Times.HearMS, "firstTokenMs": m.Times.FirstTokenMS, "answerMs": m.Times.AnswerMS, "gapMs": m.Times.GapMS, "overallMs": m.Times.OverallMS},
		"breaker": map[string]int{
			"failures": m.Breaker.Failures, "windowMs": m.Breaker.WindowS * second, "openMs": m.Breaker.OpenS * second, "maxOpenMs": m.Breaker.MaxOpenS * second,
			"deniedMs": m.Breaker.DeniedS * second, "probeMs": m.Breaker.ProbeS * second, "pollMs": m.Breaker.PollS * second,
		},
		"hedging":     map[string]any{"share": float64(m.Hedging.SharePercent) / 100, "burst": m.Hedging.Burst},
		"idempotency": map[string]int{"keepS": m.Idempotency.KeepS, "maxKeyChars": m.Idempotency.MaxKeyChars},
		"promptCache": map[string]any{"keepS": m.PromptCache.KeepS, "maxChars": m.PromptCache.MaxChars, "lookMs": m.PromptCache.LookMS, "skills": cachedSkills(m)},
	}
}

// detailsOf is in what detail a model is shown images, where its provider tells details apart.
func detailsOf(m contract.Models) map[string]string {
	details := map[string]string{}
	for model, v := range m.Vision {
		if v.Detail != "" {
			details[model] = v.Detail
		}
	}
	return details
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
