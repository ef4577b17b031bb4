package cors

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

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

	corsPrefix = "Access-Control-"
)

// ours are the headers of CORS that the gateway sets.
var ours = []string{allowOrigin, allowCreds, exposeHeaders, allowMethods, allowHeaders, maxAge}

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
	j.echoed()
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
		j.wildcard(j.x.Origin)
	case got == "" && j.x.Status >= http.StatusBadRequest:
		j.add("cors_error_unreadable", allowOrigin, got, j.x.Origin)
	case got != j.x.Origin:
		j.add("cors_origin", allowOrigin, got, j.x.Origin)
	}
	if got := j.value(allowCreds); got != creds {
		j.add("cors_credentials", allowCreds, got, creds)
	}
	j.set("cors_expose_headers", exposeHeaders, j.c.ExposeHeaders)
	j.unknown()
	if j.x.promises() {
		j.promised()
	}
}

// promises says that the answer is what a browser asks before it sends anything: a preflight of a path there is.
func (r Request) promises() bool {
	return r.Method == http.MethodOptions && (r.Probe == "" || r.Probe == probePreflight)
}

func (j *judging) promised() {
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
		j.wildcard("none")
	case got == j.x.Origin:
		j.add("cors_reflected", allowOrigin, got, "none")
	default:
		j.add("cors_leaked", allowOrigin, got, "none")
	}
	if got := j.value(allowCreds); got != "" {
		j.add("cors_credentials", allowCreds, got, "none")
	}
	for _, header := range ours {
		got := j.value(header)
		named := header == allowOrigin || header == allowCreds // judged above, unless it is there and says nothing
		if _, there := j.x.Headers[header]; there && (got == "" || !named) {
			j.add("cors_allowed", header, orText(got, "empty"), "none")
		}
	}
	j.unknown()
}

// wildcard is worse with credentials: browsers refuse that, and whatever else reads answers does not.
func (j *judging) wildcard(want string) {
	code := "cors_wildcard"
	if j.value(allowCreds) != "" {
		code = "cors_wildcard_credentials"
	}
	j.add(code, allowOrigin, j.value(allowOrigin), want)
}

// echoed is any header that repeats what was asked for: names nobody allows, or a foreign origin elsewhere than in the one
// header that is judged as such.
func (j *judging) echoed() {
	for _, header := range slices.Sorted(maps.Keys(j.x.Headers)) {
		if header != allowOrigin && j.x.repeats(j.x.Headers[header]) {
			j.add("cors_reflected", header, j.value(header), "nothing of the request")
		}
	}
}

// unknown is a header of CORS that the gateway does not set: another layer did.
func (j *judging) unknown() {
	for _, header := range slices.Sorted(maps.Keys(j.x.Headers)) {
		if strings.HasPrefix(header, corsPrefix) && !slices.Contains(ours, header) {
			j.add("cors_unknown", header, j.value(header), "none")
		}
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
