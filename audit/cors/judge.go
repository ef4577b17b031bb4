package cors

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
)

// The headers that CORS adds to an answer (fetch.spec.whatwg.org, section 3.3).
const (
	allowOrigin   = "Access-Control-Allow-Origin"
	allowCreds    = "Access-Control-Allow-Credentials"
	allowMethods  = "Access-Control-Allow-Methods"
	allowHeaders  = "Access-Control-Allow-Headers"
	exposeHeaders = "Access-Control-Expose-Headers"
	maxAge        = "Access-Control-Max-Age"
)

// fact is one thing wrong with one exchange.
type fact struct {
	x         Exchange
	code      string
	header    string
	got, want string
}

// judge compares one answer with the contract. Lists are compared as sets, everything else as texts.
func judge(c contract.CORS, x Exchange) []fact {
	j := judging{c: c, x: x}
	j.doubled()
	j.vary()
	if x.Allowed {
		j.allowed()
	} else {
		j.foreign()
	}
	return j.facts
}

type judging struct {
	c     contract.CORS
	x     Exchange
	facts []fact
}

func (j *judging) add(code, header, got, want string) {
	j.facts = append(j.facts, fact{j.x, code, header, got, want})
}

func (j *judging) value(header string) string { return strings.Join(j.x.Headers[header], ", ") }

// doubled is what a second layer of CORS leaves behind: browsers refuse such an answer.
func (j *judging) doubled() {
	for _, header := range []string{allowOrigin, allowCreds, maxAge} {
		if len(j.x.Headers[header]) > 1 || strings.Contains(j.value(header), ",") {
			j.add("cors_doubled", header, j.value(header), "one value")
		}
	}
	for _, header := range []string{allowMethods, allowHeaders, exposeHeaders} {
		words := list(j.value(header))
		if len(j.x.Headers[header]) > 1 || len(slices.Compact(words)) < len(words) {
			j.add("cors_doubled", header, j.value(header), "each name once")
		}
	}
}

// vary keeps a cache from giving one origin's answer to another.
func (j *judging) vary() {
	have := list(j.value("Vary"))
	for _, want := range j.c.Vary {
		if !slices.Contains(have, strings.ToLower(want)) && !slices.Contains(have, "*") {
			j.add("cors_vary", "Vary", j.value("Vary"), strings.Join(j.c.Vary, ", "))
			return
		}
	}
}

func (j *judging) allowed() {
	creds := ""
	if j.c.Credentials {
		creds = "true"
	}
	switch got := j.value(allowOrigin); {
	case got == "*":
		j.add("cors_wildcard", allowOrigin, got, j.x.Origin)
	case got != j.x.Origin:
		j.add("cors_origin", allowOrigin, got, j.x.Origin)
	}
	if got := j.value(allowCreds); got != creds {
		j.add("cors_credentials", allowCreds, got, creds)
	}
	j.set("cors_expose_headers", exposeHeaders, j.c.ExposeHeaders)
	if j.x.Method != http.MethodOptions {
		return
	}
	if j.x.Status != http.StatusNoContent || j.x.Body > 0 {
		j.add("preflight_status", "status", fmt.Sprintf("%d with %d bytes", j.x.Status, j.x.Body), "204 without a body")
	}
	j.set("cors_allow_headers", allowHeaders, j.c.AllowHeaders)
	j.set("cors_allow_methods", allowMethods, j.c.Methods)
	if want := strconv.Itoa(j.c.MaxAgeS); j.value(maxAge) != want {
		j.add("cors_max_age", maxAge, j.value(maxAge), want)
	}
}

// foreign must learn nothing: neither by a wildcard nor by seeing its own name again.
func (j *judging) foreign() {
	switch got := j.value(allowOrigin); {
	case got == "":
	case got == "*":
		j.add("cors_wildcard", allowOrigin, got, "none")
	case got == j.x.Origin:
		j.add("cors_reflected", allowOrigin, got, "none")
	default:
		j.add("cors_leaked", allowOrigin, got, "none")
	}
	if got := j.value(allowCreds); got != "" {
		j.add("cors_credentials", allowCreds, got, "none")
	}
	if slices.Contains(list(j.value(allowHeaders)), strings.ToLower(probed)) {
		j.add("cors_reflected", allowHeaders, j.value(allowHeaders), "none")
	}
}

func (j *judging) set(code, header string, want []string) {
	if slices.Equal(slices.Compact(list(j.value(header))), list(strings.Join(want, ","))) {
		return
	}
	j.add(code, header, j.value(header), strings.Join(want, ", "))
}

// list reads a comma-separated header as sorted lower-case words.
func list(value string) []string {
	words := strings.FieldsFunc(strings.ToLower(value), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	slices.Sort(words)
	return words
}

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

func generic(text, origin string) string { return strings.ReplaceAll(text, origin, "{origin}") }

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
		Message:  fmt.Sprintf("%s from origin %s: %s is %s, want %s", f.x.Method, f.x.Origin, f.header, got, f.want),
		Resource: audit.Resource{Kind: "response", Name: f.header}, Hint: hints[f.code],
	}
}

var hints = map[string]string{
	"cors_doubled":        "a second layer adds CORS headers: only the gateway may",
	"cors_vary":           "without Vary a cache may give one origin's answer to another",
	"cors_wildcard":       "a wildcard lets every site read answers: name the origins in contract/envs.json",
	"cors_reflected":      "the answer repeats what was asked, which allows everyone: compare exactly",
	"cors_origin":         "check ALLOWED_ORIGINS of the gateway against contract/envs.json: cogctl up",
	"cors_allow_headers":  "the gateway's list is generated from contract/http.json: deploy it again",
	"cors_expose_headers": "the gateway's list is generated from contract/http.json: deploy it again",
	"preflight_status":    "something before the gateway, or a service, answers OPTIONS: cogctl audit routes",
}
