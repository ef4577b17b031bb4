package routes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cognomega/edge/audit"
)

// dns looks at whether requests for the host reach the edge at all: a route runs only for a name with a proxied record.
func (j *judge) dns() {
	records := answering(j.c.DNS, j.c.Host, j.c.Zone.Name)
	if len(records) == 0 && len(j.c.Domains) > 0 {
		return // a custom domain brings its own record
	}
	if len(records) == 0 {
		j.add(audit.Finding{
			Severity: audit.Error, Code: "dns_missing", URL: j.root(), Got: "nobody", Want: j.e.Owner,
			Message:  "no address record answers for the host: its name does not resolve, and the API accepts routes for it all the same",
			Resource: audit.Resource{Kind: "zone", ID: j.c.Zone.ID, Name: j.c.Zone.Name},
			Hint:     "add a proxied record: cogctl up",
		})
	}
	for _, r := range records {
		if r.Proxied {
			continue
		}
		j.add(audit.Finding{
			Severity: audit.Error, Code: "dns_unproxied", URL: j.root(), Got: r.Content, Want: j.e.Owner,
			Message:  fmt.Sprintf("%s record %s (id %s) is not proxied: requests go to %s and no Worker runs", r.Type, r.Name, r.ID, r.Content),
			Resource: audit.Resource{Kind: "dns_record", ID: r.ID, Name: r.Name},
			Hint:     "turn the proxy on for record " + r.ID,
		})
	}
}

// answering lists the address records that a query for the host gets: a wildcard answers only where nothing nearer exists.
func answering(records []DNSRecord, host, zone string) []DNSRecord {
	for _, name := range candidates(host, zone) {
		var here []DNSRecord
		exists := false
		for _, r := range records {
			if strings.EqualFold(r.Name, name) {
				exists = true
				if slices.Contains([]string{"A", "AAAA", "CNAME"}, r.Type) {
					here = append(here, r)
				}
			}
		}
		if exists {
			return here
		}
	}
	return nil
}

func (j *judge) root() string {
	if j.e.BaseURL != "" {
		return strings.TrimSuffix(j.e.BaseURL, "/") + "/"
	}
	return "https://" + j.c.Host + "/"
}

func (j *judge) pages() {
	for _, p := range j.c.Pages {
		j.add(audit.Finding{
			Severity: audit.Error, Code: "pages_domain", URL: j.root(), Got: "Pages project " + p.Name, Want: j.e.Owner,
			Message:  fmt.Sprintf("Pages project %s lists %s as its domain: it answers whatever the routes leave, and takes all if they go", p.Name, j.c.Host),
			Resource: audit.Resource{Kind: "pages_project", ID: p.ID, Name: p.Name},
			Hint:     "remove the domain from Pages project " + p.Name,
		})
	}
}

func (j *judge) redirects() {
	for _, r := range j.c.Redirects {
		match := expression(r.Expression).on(j.c.Host)
		if match == never {
			continue
		}
		f := audit.Finding{
			Severity: audit.Error, Code: "redirect_rule", URL: j.root(), Got: "redirect to " + r.Target, Want: j.e.Owner,
			Message:  fmt.Sprintf("redirect rule %s answers before any Worker when: %s", r.ID, r.Expression),
			Resource: audit.Resource{Kind: "redirect_rule", ID: r.ID, Name: r.Description},
			Hint:     "exclude the host in rule " + r.ID + ", or disable it",
		}
		if match == unreadable {
			f.Severity = audit.Warning
			f.Message = fmt.Sprintf("redirect rule %s may answer before any Worker; its expression is beyond this check: %s", r.ID, r.Expression)
		}
		j.add(f)
	}
}

// switches looks at the ways to reach a Worker that go around every route of the zone.
func (j *judge) switches() {
	for _, w := range j.c.Workers {
		if w.Name != j.e.Owner && !slices.Contains(j.e.Closed, w.Name) {
			continue
		}
		if !w.Exists && w.Name == j.e.Owner {
			j.add(audit.Finding{
				Severity: audit.Error, Code: "worker_missing", URL: j.root(), Got: "nobody", Want: w.Name,
				Message: fmt.Sprintf("Worker %s does not exist on the account", w.Name), Resource: audit.Resource{Kind: "worker", ID: w.Name, Name: w.Name},
				Hint: "cogctl up",
			})
		}
		if w.WorkersDev {
			j.add(j.exposed(w, "workers_dev_on", w.Name, "its workers.dev name is on", "its workers.dev name"))
		}
		if w.Previews {
			j.add(j.exposed(w, "previews_on", "<version>-"+w.Name, "its preview URLs are on, one for every version", "preview URLs"))
		}
	}
}

func (j *judge) exposed(w Worker, code, label, what, turnOff string) audit.Finding {
	f := audit.Finding{
		Severity: audit.Error, Code: code, Got: w.Name, Want: "nobody",
		Message:  fmt.Sprintf("Worker %s can be reached past every route: %s", w.Name, what),
		Resource: audit.Resource{Kind: "worker", ID: w.Name, Name: w.Name},
		Hint:     "turn off " + turnOff + " of " + w.Name + ": cogctl up",
	}
	if j.c.Subdomain != "" {
		f.URL = "https://" + label + "." + j.c.Subdomain + ".workers.dev/"
	}
	return f
}
