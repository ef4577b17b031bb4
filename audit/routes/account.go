package routes

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/cfapi"
)

// Account is everything of a whole account that decides who answers its hostnames.
type Account struct {
	ID      string               `json:"account_id"`
	At      time.Time            `json:"at"`
	Zones   []ZoneCapture        `json:"zones"`
	Domains []cfapi.Domain       `json:"custom_domains"`
	Pages   []cfapi.PagesProject `json:"pages"`
	Bulk    []Redirect           `json:"bulk_redirects"`
	Unseen  []Unseen             `json:"unseen"`
}

// ZoneCapture is what one zone says.
type ZoneCapture struct {
	Zone      cfapi.Zone  `json:"zone"`
	Routes    []Route     `json:"routes"`
	DNS       []DNSRecord `json:"dns"`
	Redirects []Redirect  `json:"redirects"`
}

// parallelZones is how many zones are read at once; the API client keeps the pace that Cloudflare allows.
const parallelZones = 16

// CollectAccount reads every zone of the account, each list once.
func CollectAccount(ctx context.Context, api *cfapi.Client, at time.Time) (*Account, error) {
	zones, err := api.Zones(ctx)
	if err != nil {
		return nil, err
	}
	a := &Account{ID: api.AccountID(), At: at.UTC().Truncate(time.Second), Zones: make([]ZoneCapture, len(zones)), Unseen: []Unseen{}}
	var pages, bulk *Unseen
	unseen := make([]*Unseen, len(zones))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelZones)
	g.Go(func() (err error) { a.Domains, err = api.Domains(gctx, ""); return err })
	g.Go(func() (err error) { pages, err = tolerate("Pages projects", a.readPages(gctx, api)); return err })
	g.Go(func() (err error) { bulk, err = tolerate("bulk redirects", a.readBulk(gctx, api)); return err })
	for i, z := range zones {
		a.Zones[i].Zone = z
		g.Go(func() (err error) {
			unseen[i], err = a.Zones[i].read(gctx, api)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, u := range append([]*Unseen{pages, bulk}, unseen...) {
		if u != nil && !slices.ContainsFunc(a.Unseen, func(v Unseen) bool { return v.What == u.What }) {
			a.Unseen = append(a.Unseen, *u)
		}
	}
	slices.SortFunc(a.Zones, func(x, y ZoneCapture) int { return cmp.Compare(x.Zone.Name, y.Zone.Name) })
	return a, nil
}

func (a *Account) readPages(ctx context.Context, api *cfapi.Client) (err error) {
	a.Pages, err = api.PagesProjects(ctx)
	return err
}

func (a *Account) readBulk(ctx context.Context, api *cfapi.Client) error {
	rules, err := api.AccountRules(ctx, cfapi.PhaseBulkRedirect)
	c := Capture{}
	c.addRedirects(cfapi.PhaseBulkRedirect, rules)
	a.Bulk = c.Redirects
	return err
}

// read fills one zone. Its routes and records must be readable; its redirects may stay unseen.
func (z *ZoneCapture) read(ctx context.Context, api *cfapi.Client) (*Unseen, error) {
	c := Capture{Zone: z.Zone}
	if err := c.readRoutes(ctx, api); err != nil {
		return nil, err
	}
	var err error
	if z.DNS, err = api.DNSRecords(ctx, z.Zone.ID, ""); err != nil {
		return nil, err
	}
	rules, err := api.ZoneRules(ctx, z.Zone.ID, cfapi.PhaseDynamicRedirect)
	c.addRedirects(cfapi.PhaseDynamicRedirect, rules)
	z.Routes, z.Redirects = c.Routes, c.Redirects
	return tolerate("redirect rules of "+z.Zone.Name, err)
}

// JudgeAccount decides every hostname of the account that a Worker could answer. Nobody says who should own them, so a host
// that several Workers share is no error; what nobody can have meant is: ties, and routes that no request reaches.
func JudgeAccount(a *Account) []Judgement {
	var all []Judgement
	for i := range a.Zones {
		z := &a.Zones[i]
		j := judge{c: &Capture{Routes: z.Routes}}
		j.readPatterns()
		unreadable := j.findings
		for n, host := range z.hosts(a.Domains) {
			one := judge{c: z.capture(a, host), routes: j.routes}
			if n == 0 {
				one.findings = unreadable
			}
			if d := shared(one.decide()); d.Owner != "" || len(d.Findings) > 1 {
				all = append(all, d)
			}
		}
	}
	return all
}

// shared makes notes of what is only wrong where somebody expects one owner.
func shared(j Judgement) Judgement {
	for i, f := range j.Findings {
		switch f.Code {
		case "route_shadow", "route_null", "route_gap", "custom_domain_shadow", "pages_domain", "redirect_rule":
			j.Findings[i].Severity, j.Findings[i].Hint = audit.Note, ""
		}
	}
	return j
}

// hosts lists the names that routes, custom domains or proxied records of the zone spell out.
func (z *ZoneCapture) hosts(domains []cfapi.Domain) []string {
	var names []string
	add := func(name string) {
		if name = strings.ToLower(name); name != "" && !strings.Contains(name, "*") && within(name, z.Zone.Name) {
			names = append(names, name)
		}
	}
	for _, r := range z.Routes {
		if p, err := parsePattern(r.Pattern); err == nil && !p.anyHost {
			add(p.host)
		}
	}
	for _, d := range domains {
		if d.ZoneID == z.Zone.ID {
			add(d.Hostname)
		}
	}
	for _, r := range z.DNS {
		if r.Proxied {
			add(r.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func within(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }

// capture is what of the account decides one host.
func (z *ZoneCapture) capture(a *Account, host string) *Capture {
	c := &Capture{Schema: CaptureSchema, At: a.At, Account: a.ID, Host: host, Zone: z.Zone, Routes: z.Routes, Redirects: slices.Concat(z.Redirects, a.Bulk), Unseen: a.Unseen}
	answering := candidates(host, z.Zone.Name)
	for _, r := range z.DNS {
		if slices.Contains(answering, strings.ToLower(r.Name)) {
			c.DNS = append(c.DNS, r)
		}
	}
	for _, d := range a.Domains {
		if strings.EqualFold(d.Hostname, host) {
			c.Domains = append(c.Domains, d)
		}
	}
	for _, p := range a.Pages {
		if slices.ContainsFunc(p.Domains, func(d string) bool { return strings.EqualFold(d, host) }) {
			c.Pages = append(c.Pages, PagesProject{ID: p.ID, Name: p.Name})
		}
	}
	return c
}
