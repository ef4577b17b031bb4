package cfapi

import (
	"context"

	"github.com/cloudflare/cloudflare-go"
)

// Route maps a URL pattern of a zone to a script; an empty script is a null route, which takes URLs away from less specific ones.
type Route struct {
	ID      string `json:"id"`
	Pattern string `json:"pattern"`
	Script  string `json:"script"`
}

// Routes lists every Worker route of a zone.
func (c *Client) Routes(ctx context.Context, zoneID string) ([]Route, error) {
	res, err := c.api.ListWorkerRoutes(ctx, cloudflare.ZoneIdentifier(zoneID), cloudflare.ListWorkerRoutesParams{})
	if err != nil {
		return nil, fail("read Worker routes of zone "+zoneID, err)
	}
	routes := make([]Route, len(res.Routes))
	for i, r := range res.Routes {
		routes[i] = Route{ID: r.ID, Pattern: r.Pattern, Script: r.ScriptName}
	}
	return routes, nil
}

// Domain is a Workers custom domain: one exact hostname, all its paths.
type Domain struct {
	ID       string `json:"id"`
	Hostname string `json:"hostname"`
	Service  string `json:"service"`
	ZoneID   string `json:"zone_id"`
	ZoneName string `json:"zone_name"`
}

// Domains lists the custom domains of the account, of one zone when zoneID is given.
func (c *Client) Domains(ctx context.Context, zoneID string) ([]Domain, error) {
	res, err := c.api.ListWorkersDomains(ctx, c.rcAccount(), cloudflare.ListWorkersDomainParams{ZoneID: zoneID})
	if err != nil {
		return nil, fail("read Workers custom domains", err)
	}
	domains := make([]Domain, len(res))
	for i, d := range res {
		domains[i] = Domain{ID: d.ID, Hostname: d.Hostname, Service: d.Service, ZoneID: d.ZoneID, ZoneName: d.ZoneName}
	}
	return domains, nil
}
