package routes

import (
	"encoding/json"
	"slices"

	"github.com/cognomega/edge/audit"
)

// Territory is a part of the host's URLs that one resource decides, with those inside it that others do.
type Territory struct {
	Scheme  string `json:"scheme"`   // http or https
	Text    string `json:"urls"`     // a path, or with a * at the end all that begin with it
	Depth   int    `json:"depth"`    // of the exception: 0 is the whole host
	Worker  string `json:"worker"`   // who answers, empty for nobody
	Outcome string `json:"outcome"`  // owned, ambiguous, null, uncovered
	Ours    bool   `json:"expected"` // it is the owner that is expected
	Cause   string `json:"cause"`    // the route's pattern, the custom domain, or nothing
	ID      string `json:"id,omitempty"`
}

// outcomes are the names of what can become of a URL.
var outcomes = map[outcome]string{owned: "owned", tied: "ambiguous", unclear: "ambiguous", negated: "null", uncovered: "uncovered"}

// Map divides the host among those who answer: each territory, then the exceptions inside it. What is decided by the same
// resource as the territory around it is a part of that one.
func Map(c *Capture, e Expect) []Territory {
	j := judge{c: c, e: e}
	j.readPatterns()
	var all []Territory
	for _, scheme := range []string{"https", "http"} {
		regions := j.split(scheme)
		j.regions = append(j.regions, regions...)
		if j.e.Owner == "" {
			j.e.Owner = j.likelyOwner()
		}
		all = append(all, j.territories(scheme, regions)...)
	}
	return all
}

func (j *judge) territories(scheme string, regions []claimed) []Territory {
	var out []Territory
	depth := make([]int, len(regions))
	same := func(a, b claimed) bool {
		return a.kind == b.kind && a.worker == b.worker && slices.Equal(a.winners, b.winners)
	}
	for i, r := range regions {
		if r.parent >= 0 {
			if same(r, regions[r.parent]) {
				depth[i] = depth[r.parent]
				continue
			}
			depth[i] = depth[r.parent] + 1
		}
		text := r.boundary
		if !r.exact {
			text += "*"
		}
		t := Territory{Scheme: scheme, Text: text, Depth: depth[i], Worker: r.worker, Outcome: outcomes[r.kind], Ours: r.kind == owned && r.worker == j.e.Owner}
		t.Cause, t.ID = j.causes(r)
		out = append(out, t)
	}
	return out
}

func (j *judge) causes(r claimed) (name, id string) {
	switch {
	case len(r.winners) > 0:
		route := j.c.Routes[r.winners[0]]
		name, id = "route "+route.Pattern, route.ID
		if len(r.winners) > 1 {
			name += " and " + count(len(r.winners)-1, "other")
		}
	case len(j.c.Domains) > 0:
		name, id = "custom domain "+j.c.Domains[0].Hostname, j.c.Domains[0].ID
	}
	return name, id
}

// Recall reads the evidence of a proof that was verified.
func Recall(raw []byte) (Evidence, error) {
	var e Evidence
	if err := json.Unmarshal(raw, &e); err != nil || e.Capture == nil {
		return e, audit.Misfit("it holds no capture: %v", err)
	}
	return e, nil
}
