package routes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// CaptureSchema names the format of a capture file.
const CaptureSchema = "cogctl/routes.capture/v1"

// Capture is everything of an account that decides who answers a hostname. Its lists are sorted and it holds no time but
// its own, so that two captures of the same account compare equal.
type Capture struct {
	Schema    string         `json:"schema"`
	At        time.Time      `json:"at"`
	Account   string         `json:"account_id"`
	Host      string         `json:"host"`
	Zone      cfapi.Zone     `json:"zone"`
	Routes    []Route        `json:"routes"`
	Domains   []cfapi.Domain `json:"custom_domains"`
	DNS       []DNSRecord    `json:"dns"` // of the host and of the wildcards above it
	Workers   []Worker       `json:"workers"`
	Subdomain string         `json:"workers_dev_subdomain"`
	Pages     []PagesProject `json:"pages"` // that answer on the host
	Redirects []Redirect     `json:"redirects"`
	Unseen    []Unseen       `json:"unseen"`
}

// DNSRecord is one record that decides whether requests for the host reach Cloudflare's edge.
type DNSRecord = cfapi.DNSRecord

// Worker is a script that matters to the host, with the two switches that go around every route.
type Worker struct {
	Name       string `json:"name"`
	Exists     bool   `json:"exists"`
	WorkersDev bool   `json:"workers_dev"`
	Previews   bool   `json:"preview_urls"`
}

// PagesProject is a Pages project that lists the host among its domains.
type PagesProject struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Redirect is an enabled redirect rule, which answers before any Worker.
type Redirect struct {
	ID          string `json:"id"`
	Phase       string `json:"phase"`
	Expression  string `json:"expression"`
	Description string `json:"description"`
	Target      string `json:"target"`
}

// Unseen is something that the token may not read: what it could hide is not decided.
type Unseen struct {
	What string `json:"what"`
	Why  string `json:"why"`
	Hint string `json:"hint,omitempty"`
}

// unseenSwitches is what a token that may not read Workers leaves unseen.
const unseenSwitches = "workers.dev switches"

// Ask says what to collect.
type Ask struct {
	Host    string
	Zone    string   // its name; found from the host when empty
	Workers []string // whose switches are looked at, beside those that own something on the host
	At      time.Time
}

// Collect reads the account. Routes, DNS and custom domains must be readable; the rest may stay unseen.
func Collect(ctx context.Context, api *cfapi.Client, ask Ask) (*Capture, error) {
	host := strings.ToLower(strings.TrimSuffix(ask.Host, "."))
	zone, err := findZone(ctx, api, host, ask.Zone)
	if err != nil {
		return nil, err
	}
	c := &Capture{Schema: CaptureSchema, At: ask.At.UTC().Truncate(time.Second), Account: api.AccountID(), Host: host, Zone: zone}
	var unseen [3]*Unseen
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.readRoutes(gctx, api) })
	g.Go(func() error { return c.readDomains(gctx, api) })
	g.Go(func() error { return c.readDNS(gctx, api) })
	g.Go(func() (err error) { unseen[0], err = tolerate("Pages projects", c.readPages(gctx, api)); return err })
	g.Go(func() (err error) {
		unseen[1], err = tolerate("redirect rules", c.readRedirects(gctx, api))
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	unseen[2], err = tolerate(unseenSwitches, c.readWorkers(ctx, api, ask.Workers))
	if err != nil {
		return nil, err
	}
	for _, u := range unseen {
		if u != nil {
			c.Unseen = append(c.Unseen, *u)
		}
	}
	c.sort()
	return c, nil
}

func findZone(ctx context.Context, api *cfapi.Client, host, name string) (cfapi.Zone, error) {
	if name == "" {
		return api.ZoneOf(ctx, host)
	}
	if host != name && !strings.HasSuffix(host, "."+name) {
		return cfapi.Zone{}, fault.New(fault.Invalid, "host %s is not in zone %s", host, name)
	}
	return api.ZoneByName(ctx, name)
}

// tolerate turns a refused permission into something unseen; an API that does not answer is still an error.
func tolerate(what string, err error) (*Unseen, error) {
	if errors.Is(err, fault.Denied) || errors.Is(err, fault.Unauthenticated) {
		return &Unseen{What: what, Why: err.Error(), Hint: fault.HintOf(err)}, nil
	}
	return nil, err
}

func (c *Capture) readRoutes(ctx context.Context, api *cfapi.Client) error {
	found, err := api.Routes(ctx, c.Zone.ID)
	c.Routes = make([]Route, len(found))
	for i, r := range found {
		c.Routes[i] = Route{ID: r.ID, Pattern: r.Pattern, Script: r.Script}
	}
	return err
}

func (c *Capture) readDomains(ctx context.Context, api *cfapi.Client) error {
	found, err := api.Domains(ctx, c.Zone.ID)
	c.Domains = []cfapi.Domain{}
	for _, d := range found {
		if strings.EqualFold(d.Hostname, c.Host) {
			c.Domains = append(c.Domains, d)
		}
	}
	return err
}

// readDNS asks for the host and for every wildcard that could stand in for it (RFC 4592).
func (c *Capture) readDNS(ctx context.Context, api *cfapi.Client) error {
	c.DNS = []DNSRecord{}
	for _, name := range candidates(c.Host, c.Zone.Name) {
		found, err := api.DNSRecords(ctx, c.Zone.ID, name)
		if err != nil {
			return err
		}
		c.DNS = append(c.DNS, found...)
	}
	return nil
}

// candidates lists the record names that may answer for a host, nearest first: itself, then the wildcards up to the zone.
func candidates(host, zone string) []string {
	names := []string{host}
	for at := host; at != zone; {
		_, parent, ok := strings.Cut(at, ".")
		if !ok || len(parent) < len(zone) {
			break
		}
		names, at = append(names, "*."+parent), parent
	}
	return names
}

func (c *Capture) readPages(ctx context.Context, api *cfapi.Client) error {
	found, err := api.PagesProjects(ctx)
	c.Pages = []PagesProject{}
	for _, p := range found {
		if slices.ContainsFunc(p.Domains, func(d string) bool { return strings.EqualFold(d, c.Host) }) {
			c.Pages = append(c.Pages, PagesProject{ID: p.ID, Name: p.Name})
		}
	}
	return err
}

func (c *Capture) readRedirects(ctx context.Context, api *cfapi.Client) error {
	c.Redirects = []Redirect{}
	zone, err := api.ZoneRules(ctx, c.Zone.ID, cfapi.PhaseDynamicRedirect)
	if err != nil {
		return err
	}
	c.addRedirects(cfapi.PhaseDynamicRedirect, zone)
	account, err := api.AccountRules(ctx, cfapi.PhaseBulkRedirect)
	if err != nil {
		return err
	}
	c.addRedirects(cfapi.PhaseBulkRedirect, account)
	return nil
}

func (c *Capture) addRedirects(phase string, rules []cfapi.Rule) {
	for _, r := range rules {
		if r.Enabled && r.Action == "redirect" {
			c.Redirects = append(c.Redirects, Redirect{ID: r.ID, Phase: phase, Expression: r.Expression, Description: r.Description, Target: r.Target})
		}
	}
}

// readWorkers looks at the switches of the named Workers and of those that a route or custom domain of the host names.
func (c *Capture) readWorkers(ctx context.Context, api *cfapi.Client, named []string) error {
	c.Workers = []Worker{}
	scripts, err := api.Scripts(ctx)
	if err != nil {
		return err
	}
	exists := map[string]bool{}
	for _, s := range scripts {
		exists[s.Name] = true
	}
	for _, name := range c.involved(named) {
		c.Workers = append(c.Workers, Worker{Name: name, Exists: exists[name]})
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	g.Go(func() (err error) { c.Subdomain, err = api.Subdomain(ctx); return err })
	for i := range c.Workers {
		if !c.Workers[i].Exists {
			continue
		}
		g.Go(func() error {
			s, err := api.ScriptSwitches(ctx, c.Workers[i].Name)
			c.Workers[i].WorkersDev, c.Workers[i].Previews = s.WorkersDev, s.Previews
			return err
		})
	}
	return g.Wait()
}

// involved lists the named Workers, and those that routes and custom domains give URLs of the host.
func (c *Capture) involved(named []string) []string {
	names := slices.Clone(named)
	for _, d := range c.Domains {
		names = append(names, d.Service)
	}
	for _, r := range c.Routes {
		p, err := parsePattern(r.Pattern)
		if err == nil && r.Script != "" && (p.coversHost("https", c.Host) || p.coversHost("http", c.Host)) {
			names = append(names, r.Script)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
}

func (c *Capture) sort() {
	slices.SortFunc(c.Routes, func(a, b Route) int { return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.ID, b.ID)) })
	slices.SortFunc(c.Domains, func(a, b cfapi.Domain) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(c.DNS, func(a, b DNSRecord) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Content, b.Content), cmp.Compare(a.ID, b.ID))
	})
	slices.SortFunc(c.Pages, func(a, b PagesProject) int { return cmp.Compare(a.Name, b.Name) })
	if c.Unseen == nil {
		c.Unseen = []Unseen{}
	}
}

// ReadCapture reads a capture file.
func ReadCapture(r io.Reader) (*Capture, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	var c Capture
	if err := dec.Decode(&c); err != nil {
		return nil, fault.New(fault.Invalid, "read the capture: %w", err)
	}
	if c.Schema != CaptureSchema {
		return nil, fault.New(fault.Invalid, "the file is of schema %q, not %s", c.Schema, CaptureSchema)
	}
	return &c, nil
}

// Write writes the capture, with the same bytes for the same facts.
func (c *Capture) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(c); err != nil {
		return fault.New(fault.Unavailable, "write the capture: %w", err)
	}
	return nil
}
