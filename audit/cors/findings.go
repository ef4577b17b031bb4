package cors

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cognomega/edge/audit"
)

// group makes one finding of what is wrong in the same way, shown on the first path, with how many others share it.
func group(t *audit.Target, facts []fact) []audit.Finding {
	type same struct{ code, header, got, want, kind string }
	at := map[same]int{}
	paths := map[same]map[string]bool{}
	var findings []audit.Finding
	for _, f := range facts {
		k := same{f.code, f.header, generic(f.got, f.x.Origin), generic(f.want, f.x.Origin), f.x.Method + who(f.x)}
		if _, ok := at[k]; !ok {
			at[k], paths[k] = len(findings), map[string]bool{}
			findings = append(findings, f.finding(t))
		}
		paths[k][f.x.Path] = true
	}
	for k, i := range at {
		if n := len(paths[k]) - 1; n > 0 {
			findings[i].Message += fmt.Sprintf("; the same on %d more paths", n)
		}
	}
	return findings
}

func generic(text, origin string) string {
	if origin == "" {
		return text
	}
	return strings.ReplaceAll(text, origin, "{origin}")
}

func who(x Exchange) string {
	if x.Allowed {
		return " allowed"
	}
	return " foreign"
}

func (f fact) finding(t *audit.Target) audit.Finding {
	got := f.got
	if got == "" {
		got = "none"
	}
	return audit.Finding{
		Severity: audit.Error, Code: f.code, URL: t.PublicURL(f.x.Path), Got: got, Want: f.want,
		Message:  fmt.Sprintf("%s from origin %s: %s is %s, want %s", f.x.Method, orText(f.x.Origin, "none"), f.header, got, f.want),
		Resource: audit.Resource{Kind: "response", Name: f.header}, Hint: hints[f.code],
	}
}

var hints = map[string]string{
	"cors_doubled":              "a second layer adds CORS headers: only the gateway may",
	"cors_vary":                 "without Vary a cache may give one origin's answer to another",
	"cors_wildcard":             "a wildcard lets every site read answers: name the origins in contract/envs.json",
	"cors_wildcard_credentials": "a wildcard with credentials is refused by browsers and believed by everything else: name the origins in contract/envs.json",
	"cors_error_unreadable":     "the page cannot tell this error from a network failure: errors need the headers that successes have, from the same layer",
	"cors_allowed":              "a refused origin must get no allow header at all: find the layer that sets it without looking at the origin",
	"cors_unknown":              "the gateway sets no such header: a second layer does",
	"cors_reflected":            "the answer repeats what was asked, which allows everyone: compare exactly",
	"cors_origin":               "check ALLOWED_ORIGINS of the gateway against contract/envs.json: cogctl up",
	"cors_leaked":               "the answer names an origin to a stranger: something caches it without Vary, or sets it for everybody",
	"cors_credentials":          "credentials go with allowed origins alone, and come from the gateway: find the layer that says otherwise",
	"cors_allow_methods":        "the gateway's list is generated from contract/http.json: deploy it again",
	"cors_max_age":              "the gateway's max-age is generated from contract/http.json: deploy it again",
	"cors_allow_headers":        "the gateway's list is generated from contract/http.json: deploy it again",
	"cors_expose_headers":       "the gateway's list is generated from contract/http.json: deploy it again",
	"preflight_status":          "something before the gateway, or a service, answers OPTIONS: cogctl audit routes",
}

// gather makes one finding of everything that is wrong in the same way, wherever it is: shown by the first request that met it,
// as a line for a shell, with where else it was met.
func gather(t *audit.Target, facts []fact) []audit.Finding {
	type same struct {
		code, header, got, want string
		allowed                 bool
	}
	at := map[same]int{}
	var findings []audit.Finding
	var met []*extent
	for _, f := range facts {
		k := same{f.code, f.header, generic(f.got, f.x.Origin), generic(f.want, f.x.Origin), f.x.Allowed}
		i, ok := at[k]
		if !ok {
			i = len(findings)
			at[k] = i
			first := f.finding(t)
			first.Curl = f.x.Curl(t)
			findings, met = append(findings, first), append(met, &extent{map[string]bool{}, map[string]bool{}, map[int]bool{}, 0})
		}
		met[i].count(f.x)
	}
	for i, e := range met {
		findings[i].Message += e.text()
	}
	return findings
}

// extent is where one fault was met.
type extent struct {
	paths, kinds map[string]bool
	statuses     map[int]bool
	answers      int
}

func (e *extent) count(x Exchange) {
	e.answers++
	e.paths[x.Path], e.kinds[x.Kind], e.statuses[x.Status] = true, true, true
}

func (e *extent) text() string {
	if e.answers == 1 {
		return ""
	}
	return fmt.Sprintf("; in %d answers: %d paths; origins %s; status %s", e.answers, len(e.paths), strings.Join(slices.Sorted(maps.Keys(e.kinds)), ", "), statuses(e.statuses))
}
