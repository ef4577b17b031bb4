package contract

import (
	"encoding/base64"
	"slices"
)

// doorOfImages is where images come in the body; elsewhere they are files that were stored before.
const doorOfImages = "/v1/chat/completions"

// checkVision sees that a tier's images have somebody to see them, and fit.
func checkVision(c *Contract, rep *report) {
	const file = "models.json"
	used := map[string]bool{}
	for _, name := range sorted(c.Models.Tiers) {
		t, at := c.Models.Tiers[name], join("tiers", name)
		for i, model := range t.Sees {
			used[model] = true
			v, known := c.Models.Vision[model]
			if !known || slices.Index(t.Sees, model) != i {
				rep.addf(file, index(join(at, "sees"), i), "names %q, which is not among vision, or is there already", model)
			} else if !slices.ContainsFunc(t.Models, func(m Model) bool { return m.Provider == v.Provider }) {
				rep.addf(file, index(join(at, "sees"), i), "is of provider %q, which the tier's models are not: an operator could not order it", v.Provider)
			}
		}
		checkImages(c, rep, at, t)
	}
	for _, model := range sorted(c.Models.Vision) {
		v, at := c.Models.Vision[model], join("vision", model)
		if _, known := c.Models.Providers[v.Provider]; !known || !used[model] {
			rep.addf(file, at, "is of provider %q, which is not among them, or no tier shows it anything", v.Provider)
		}
		if v.ImageTokens == 0 || v.Detail != "" && v.Detail != "low" && v.Detail != "high" {
			rep.addf(file, at, "wants image_tokens above 0, and a detail of low, high or none")
		}
	}
}

func checkImages(c *Contract, rep *report, at string, t Tier) {
	if len(t.Sees) == 0 {
		if t.MaxImages+t.MaxImageBytes+t.MaxImagesBytes > 0 {
			rep.addf("models.json", at, "bounds images, and has nobody who sees them")
		}
		return
	}
	if t.MaxImages == 0 || t.MaxImageBytes == 0 || t.MaxImagesBytes < t.MaxImageBytes || t.MaxImagesBytes > t.MaxImages*t.MaxImageBytes {
		rep.addf("models.json", at, "bounds images so that none, or not the largest one, or more than there may be, could come")
	}
	if need := base64.StdEncoding.EncodedLen(t.MaxImagesBytes) + t.MaxInputChars; need > c.HTTP.Paths[doorOfImages].MaxBodyBytes {
		rep.addf("models.json", join(at, "max_images_bytes"), "and max_input_chars come to %d bytes, more than %s lets in", need, doorOfImages)
	}
}
