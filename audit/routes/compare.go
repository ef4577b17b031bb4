package routes

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cognomega/edge/internal/cfapi"
)

// Change is one difference between two captures.
type Change struct {
	Op   string `json:"op"` // added, removed, changed
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Was  string `json:"was,omitempty"`
	Is   string `json:"is,omitempty"`
}

// Compare lists what became different from one capture to a later one, sorted by kind and id.
func Compare(was, is *Capture) []Change {
	changes := slices.Concat(
		compare("route", was.Routes, is.Routes, func(r Route) (string, string) { return r.ID, r.Pattern + " to " + orNobody(r.Script) }),
		compare("custom_domain", was.Domains, is.Domains, func(d cfapi.Domain) (string, string) { return d.ID, d.Hostname + " to " + d.Service }),
		compare("dns_record", was.DNS, is.DNS, func(r DNSRecord) (string, string) {
			return r.ID, fmt.Sprintf("%s %s %s, proxied %v", r.Type, r.Name, r.Content, r.Proxied)
		}),
		compare("worker", was.Workers, is.Workers, func(w Worker) (string, string) {
			return w.Name, fmt.Sprintf("exists %v, workers.dev %v, previews %v", w.Exists, w.WorkersDev, w.Previews)
		}),
		compare("pages_project", was.Pages, is.Pages, func(p PagesProject) (string, string) { return p.Name, p.Name }),
		compare("redirect_rule", was.Redirects, is.Redirects, func(r Redirect) (string, string) { return r.ID, r.Expression + " to " + r.Target }),
	)
	if was.Host != is.Host || was.Zone != is.Zone {
		changes = append(changes, Change{"changed", "subject", "host", was.Host + " in " + was.Zone.ID, is.Host + " in " + is.Zone.ID})
	}
	if changes == nil {
		changes = []Change{}
	}
	return changes
}

func orNobody(script string) string {
	if script == "" {
		return "nobody"
	}
	return script
}

func compare[T any](kind string, was, is []T, words func(T) (id, says string)) []Change {
	before, after := map[string]string{}, map[string]string{}
	for _, x := range was {
		id, says := words(x)
		before[id] = says
	}
	for _, x := range is {
		id, says := words(x)
		after[id] = says
	}
	var changes []Change
	for id, says := range after {
		old, had := before[id]
		switch {
		case !had:
			changes = append(changes, Change{"added", kind, id, "", says})
		case old != says:
			changes = append(changes, Change{"changed", kind, id, old, says})
		}
	}
	for id, says := range before {
		if _, has := after[id]; !has {
			changes = append(changes, Change{"removed", kind, id, says, ""})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.ID, b.ID) })
	return changes
}
