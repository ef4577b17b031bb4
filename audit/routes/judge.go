package routes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cognomega/edge/audit"
)

// Expect is who should own the host, and which paths its users know: findings are shown on those where that is possible.
type Expect struct {
	Owner   string   // a Worker; when empty, whoever owns most of the host is taken
	Closed  []string // Workers that must not be reachable past the routes; the owner always is one
	Paths   []string
	BaseURL string // "https://api.example.com", with the port for a local one; defaults to the host
}

// Judgement is who owns the host and what is wrong.
type Judgement struct {
	Host     string          `json:"host"`
	Zone     string          `json:"zone"`
	Owner    string          `json:"owner"`
	Route    string          `json:"route_id"` // that gives the owner most of the host
	Regions  int             `json:"regions"`
	Findings []audit.Finding `json:"findings"`
}

// Judge decides a capture. It is a pure function of its arguments.
func Judge(c *Capture, e Expect) Judgement {
	j := judge{c: c, e: e}
	j.readPatterns()
	return j.decide()
}

// decide judges the capture, whose patterns are read.
func (j *judge) decide() Judgement {
	for _, scheme := range []string{"https", "http"} {
		j.regions = append(j.regions, j.split(scheme)...)
	}
	if j.e.Owner == "" {
		j.e.Owner = j.likelyOwner()
	}
	j.ownership()
	j.dns()
	j.pages()
	j.redirects()
	j.switches()
	if j.findings == nil {
		j.findings = []audit.Finding{}
	}
	return Judgement{Host: j.c.Host, Zone: j.c.Zone.Name, Owner: j.e.Owner, Route: j.mainRoute(), Regions: len(j.regions), Findings: j.findings}
}

// Verdict is what a judgement comes to: a finding fails it, and what could not be seen leaves it open.
func (j Judgement) Verdict(c *Capture) audit.Verdict {
	verdict := audit.Conclude("", j.Findings, nil).Verdict
	if verdict == audit.Pass && len(c.Unseen) > 0 {
		return audit.Inconclusive
	}
	return verdict
}

type judge struct {
	c        *Capture
	e        Expect
	routes   []parsed
	regions  []claimed
	findings []audit.Finding
}

// claimed is a region with who answers there.
type claimed struct {
	region
	worker string // empty: nobody, or undecided
	kind   outcome
	known  string // a path that users know, in this region
}

type outcome int

const (
	owned outcome = iota
	tied          // routes of the same specificity disagree
	negated
	unclear // a null route before a custom domain
	uncovered
)

func (j *judge) add(f audit.Finding) { j.findings = append(j.findings, f) }

func (j *judge) readPatterns() {
	for i, r := range j.c.Routes {
		p, err := parsePattern(r.Pattern)
		if err != nil {
			j.add(audit.Finding{
				Severity: audit.Warning, Code: "route_unreadable", Message: err.Error(), Resource: audit.Resource{Kind: "route", ID: r.ID, Name: r.Pattern},
				Hint: "Cloudflare refuses such a pattern today; delete the route",
			})
			continue
		}
		j.routes = append(j.routes, parsed{r, p, i})
	}
}

func (j *judge) split(scheme string) []claimed {
	regions := partition(j.routes, scheme, j.c.Host, alphabet)
	out := make([]claimed, len(regions))
	at := make(map[key]int, len(regions))
	for i, r := range regions {
		out[i] = j.claim(r)
		at[key{r.boundary, r.exact}] = i
	}
	for _, path := range j.e.Paths {
		if i, ok := locate(at, path); ok && out[i].known == "" {
			out[i].known = path
		}
	}
	return out
}

// claim says who answers in a region: a route goes before a custom domain, which takes what no route does.
func (j *judge) claim(r region) claimed {
	scripts := map[string]bool{}
	for _, w := range r.winners {
		scripts[j.c.Routes[w].Script] = true
	}
	switch {
	case len(r.winners) == 0 && len(j.c.Domains) > 0:
		return claimed{region: r, worker: j.c.Domains[0].Service, kind: owned}
	case len(r.winners) == 0:
		return claimed{region: r, kind: uncovered}
	case len(scripts) > 1:
		return claimed{region: r, kind: tied}
	case scripts[""] && len(j.c.Domains) > 0:
		return claimed{region: r, kind: unclear}
	case scripts[""]:
		return claimed{region: r, kind: negated}
	default:
		return claimed{region: r, worker: j.c.Routes[r.winners[0]].Script, kind: owned}
	}
}

// likelyOwner is who answers what no longer pattern names: the rest of "/".
func (j *judge) likelyOwner() string {
	for _, r := range j.regions {
		if r.boundary == "/" && !r.exact && r.worker != "" {
			return r.worker
		}
	}
	for _, r := range j.regions {
		if r.worker != "" {
			return r.worker
		}
	}
	return ""
}

func (j *judge) mainRoute() string {
	for _, r := range j.regions {
		if r.worker == j.e.Owner && len(r.winners) > 0 {
			return j.c.Routes[r.winners[0]].ID
		}
	}
	return ""
}

// ownership reports every region that is not the owner's. Regions with the same cause are one finding, on the URL that says most.
func (j *judge) ownership() {
	seen := map[string]int{} // cause -> position in findings
	best := map[string]claimed{}
	var order []string
	for i, r := range j.regions {
		if r.kind == owned && r.worker == j.e.Owner && j.e.Owner != "" {
			continue
		}
		cause := j.cause(i)
		if _, ok := seen[cause]; !ok {
			seen[cause] = i
			best[cause] = r
			order = append(order, cause)
			continue
		}
		if better(r, best[cause]) {
			best[cause] = r
		}
	}
	for _, cause := range order {
		j.add(j.finding(best[cause]))
	}
}

// cause names what makes a region what it is: the routes that win there, or the gap that it is a part of.
func (j *judge) cause(i int) string {
	r := j.regions[i]
	if len(r.winners) > 0 {
		return fmt.Sprint(r.kind, r.winners)
	}
	if len(j.c.Domains) > 0 {
		return "domain"
	}
	top := i
	for j.around(top) >= 0 && len(j.regions[j.around(top)].winners) == 0 {
		top = j.around(top)
	}
	return "gap " + j.regions[top].boundary
}

// around is the region that surrounds another. Positions are within a scheme's own list, https first.
func (j *judge) around(i int) int {
	r := j.regions[i]
	if r.parent < 0 {
		return -1
	}
	if r.scheme == "https" {
		return r.parent
	}
	return r.parent + j.firstHTTP()
}

func (j *judge) firstHTTP() int {
	return slices.IndexFunc(j.regions, func(r claimed) bool { return r.scheme == "http" })
}

// answers names who answers in a region, for people.
func (r claimed) answers() string {
	switch r.kind {
	case owned:
		return r.worker
	case tied, unclear:
		return "undecided"
	default:
		return "nobody"
	}
}

// better prefers a path people know, then https, then a text that is more than the pattern's own.
func better(a, b claimed) bool {
	switch {
	case (a.known != "") != (b.known != ""):
		return a.known != ""
	case a.scheme != b.scheme:
		return a.scheme == "https"
	default:
		return b.exact && !a.exact && a.boundary == b.boundary
	}
}

func (j *judge) url(r claimed) string {
	text := r.witness
	if r.known != "" {
		text = r.known
	}
	if r.scheme == "https" && j.e.BaseURL != "" {
		return strings.TrimSuffix(j.e.BaseURL, "/") + text
	}
	return r.scheme + "://" + j.c.Host + text
}

func (j *judge) finding(r claimed) audit.Finding {
	f := audit.Finding{Severity: audit.Error, URL: j.url(r), Got: r.answers(), Want: j.e.Owner}
	switch {
	case r.kind == uncovered:
		f.Code, f.Message = "route_gap", "no route and no custom domain covers it: no Worker answers"
		f.Resource = audit.Resource{Kind: "zone", ID: j.c.Zone.ID, Name: j.c.Zone.Name}
		f.Hint = "add the route " + j.c.Host + "/*: cogctl up"
	case len(r.winners) == 0:
		d := j.c.Domains[0]
		f.Code, f.Message = "custom_domain_shadow", fmt.Sprintf("custom domain %s (id %s) gives it to Worker %s", d.Hostname, d.ID, d.Service)
		f.Resource = audit.Resource{Kind: "custom_domain", ID: d.ID, Name: d.Hostname}
		f.Hint = "detach the custom domain, or add the route " + j.c.Host + "/*"
	case r.kind == tied:
		f.Code, f.Message = "route_ambiguous", "equally specific routes give it to different Workers, and Cloudflare does not say which wins: "+j.describe(r.winners)
		f.Resource = j.resource(r.winners[0])
		f.Hint = "delete all but one of them"
	case r.kind == unclear:
		f.Code = "route_null_domain"
		f.Message = fmt.Sprintf("%s takes it away from routes, and Cloudflare does not say whether custom domain %s (Worker %s) answers then", j.describe(r.winners), j.c.Domains[0].Hostname, j.c.Domains[0].Service)
		f.Resource = j.resource(r.winners[0])
		f.Hint = "delete route " + f.Resource.ID + ", or detach the custom domain"
	case r.kind == negated:
		f.Code, f.Message = "route_null", j.describe(r.winners)+" takes it away from every Worker"
		f.Resource = j.resource(r.winners[0])
		f.Hint = "delete route " + f.Resource.ID
	default:
		f.Code = "route_shadow"
		f.Message = fmt.Sprintf("Worker %s answers: %s is more specific", r.worker, j.describe(r.winners))
		f.Resource = j.resource(r.winners[0])
		f.Hint = "delete or re-point route " + f.Resource.ID
	}
	return f
}

func (j *judge) resource(route int) audit.Resource {
	r := j.c.Routes[route]
	return audit.Resource{Kind: "route", ID: r.ID, Name: r.Pattern}
}

func (j *judge) describe(winners []int) string {
	var words []string
	for _, w := range winners {
		r := j.c.Routes[w]
		to := "no Worker"
		if r.Script != "" {
			to = r.Script
		}
		words = append(words, fmt.Sprintf("route %s (id %s, zone %s, to %s)", r.Pattern, r.ID, j.c.Zone.Name, to))
	}
	return strings.Join(words, " and ")
}
