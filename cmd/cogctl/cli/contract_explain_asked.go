package cli

import (
	"fmt"
	"strings"

	"github.com/cognomega/edge/contract"
)

// explainAsked is what the contract says of a tier, a model that sees or hears, or a role: who is asked, and how much may be.
func explainAsked(c *contract.Contract, name string) []explanation {
	var found []explanation
	if t, ok := c.Models.Tiers[name]; ok {
		found = append(found, explanation{"tier", name, t.Why, tierFacts(c, name, t)})
	}
	if v, ok := c.Models.Vision[name]; ok {
		found = append(found, explanation{"model that sees", name, v.Why, map[string]string{
			"provider": v.Provider, "detail": v.Detail, "an image": fmt.Sprintf("%d tokens at most", v.ImageTokens),
		}})
	}
	if m, ok := c.Models.Hearing.Models[name]; ok {
		h := c.Models.Hearing
		found = append(found, explanation{"model that hears", name, m.Why, map[string]string{
			"provider": m.Provider, "a second": fmt.Sprintf("%d micro-credits", c.Prices.Audio.MicroCreditsPerSecond),
			"says": fmt.Sprintf("%d bytes of each %d s at most", h.WindowBytes, h.WindowS), "an attempt": fmt.Sprintf("%d ms", c.Models.Times.HearMS),
		}})
	}
	if a, ok := c.Limits.Roles[name]; ok {
		found = append(found, explanation{"limits of a role", name, a.Why, map[string]string{
			"rate": fmt.Sprintf("%d in %d s, %d at once", a.Rate.Count, a.Rate.PeriodS, a.Rate.Burst), "a day": fmt.Sprintf("%d credits", a.CreditsDay),
			"undecided": string(a.WhenDown),
		}})
	}
	return found
}

func tierFacts(c *contract.Contract, name string, t contract.Tier) map[string]string {
	facts := map[string]string{
		"models": modelWords(t.Models), "also called": strings.Join(t.Aliases, ", "), "takes of a rate": fmt.Sprint(c.Limits.Weights[name]),
		"writes": fmt.Sprintf("%d to %d tokens", t.MinTokens, t.MaxTokens), "reads": fmt.Sprintf("%d characters", t.MaxInputChars),
	}
	if len(t.Sees) > 0 {
		facts["models that see"] = strings.Join(t.Sees, ", ")
		facts["shown images"] = fmt.Sprintf("%d of up to %d bytes, %d together", t.MaxImages, t.MaxImageBytes, t.MaxImagesBytes)
	}
	if len(t.Hears) > 0 {
		facts["models that hear"] = strings.Join(t.Hears, ", ")
		facts["has heard"] = fmt.Sprintf("%d pieces of audio, %d s and %d bytes together", t.MaxAudios, t.MaxAudioSeconds, t.MaxAudioBytes)
	}
	return facts
}

func modelWords(models []contract.Model) string {
	all := make([]string, 0, len(models))
	for _, m := range models {
		all = append(all, m.Provider+" "+m.Model)
	}
	return strings.Join(all, ", ")
}
