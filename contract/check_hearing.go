package contract

import (
	"encoding/base64"
	"slices"
)

// doorOfAudio is where audio comes in the body; elsewhere it is a file that was stored before.
const doorOfAudio = "/v1/chat/completions"

// checkHearing sees that a tier's audio has somebody to hear it, fits, and leaves time for the answer.
func checkHearing(c *Contract, rep *report) {
	const file = "models.json"
	h, used := c.Models.Hearing, map[string]bool{}
	if h.WindowS == 0 || h.WindowBytes == 0 {
		rep.addf(file, "hearing", "has a window of 0: nothing could be said in it")
		return
	}
	for _, name := range sorted(c.Models.Tiers) {
		t, at := c.Models.Tiers[name], join("tiers", name)
		for i, model := range t.Hears {
			used[model] = true
			m, known := h.Models[model]
			if !known || slices.Index(t.Hears, model) != i {
				rep.addf(file, index(join(at, "hears"), i), "names %q, which is not among hearing.models, or is there already", model)
			} else if !slices.ContainsFunc(t.Models, func(of Model) bool { return of.Provider == m.Provider }) {
				rep.addf(file, index(join(at, "hears"), i), "is of provider %q, which the tier's models are not: an operator could not order it", m.Provider)
			}
		}
		checkAudio(c, rep, at, t)
		checkHearMS(c, rep, len(t.Hears))
	}
	for _, model := range sorted(h.Models) {
		if _, known := c.Models.Providers[h.Models[model].Provider]; !known || !used[model] {
			rep.addf(file, join("hearing.models", model), "is of provider %q, which is not among them, or no tier has it hear anything", h.Models[model].Provider)
		}
	}
}

func checkAudio(c *Contract, rep *report, at string, t Tier) {
	if len(t.Hears) == 0 {
		if t.MaxAudios+t.MaxAudioSeconds+t.MaxAudioBytes > 0 {
			rep.addf("models.json", at, "bounds audio, and has nobody who hears it")
		}
		return
	}
	if t.MaxAudios == 0 || t.MaxAudioSeconds == 0 || t.MaxAudioBytes == 0 {
		rep.addf("models.json", at, "bounds audio so that none could come")
	}
	if need := base64.StdEncoding.EncodedLen(t.MaxAudioBytes) + t.MaxInputChars; need > c.HTTP.Paths[doorOfAudio].MaxBodyBytes {
		rep.addf("models.json", join(at, "max_audio_bytes"), "and max_input_chars come to %d bytes, more than %s lets in", need, doorOfAudio)
	}
	h := c.Models.Hearing
	windows := (t.MaxAudioSeconds + h.WindowS - 1) / h.WindowS
	if most := t.MaxAudios * windows * h.WindowBytes; most > t.MaxInputChars/2 {
		rep.addf("models.json", join(at, "max_audio_seconds"), "and max_audios may come to %d bytes of text, more than half of what the tier reads", most)
	}
}

// checkHearMS sees that the last that hears has its turn, and the first model its own after it.
func checkHearMS(c *Contract, rep *report, hears int) {
	t := c.Models.Times
	if hears > 0 && (t.HearMS == 0 || hears*t.HearMS+max(t.FirstTokenMS, t.AnswerMS) > t.OverallMS) {
		rep.addf("models.json", "times.hear_ms", "is 0, or %d turns of it leave no model its turn in times.overall_ms", hears)
	}
}
