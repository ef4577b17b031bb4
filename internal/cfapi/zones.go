package cfapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/internal/fault"
)

// Zone is a DNS zone.
type Zone struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status"`
}

// Zones lists the zones the token can see, of the client's account when it has one.
func (c *Client) Zones(ctx context.Context) ([]Zone, error) {
	return c.zones(ctx, "")
}

// ZoneByName finds a zone by its exact name; fault.NotFound when the token cannot see one.
func (c *Client) ZoneByName(ctx context.Context, name string) (Zone, error) {
	found, err := c.zones(ctx, name)
	if err != nil {
		return Zone{}, err
	}
	for _, z := range found {
		if strings.EqualFold(z.Name, name) {
			return z, nil
		}
	}
	return Zone{}, fault.New(fault.NotFound, "zone %s is not among the zones this token can see", name).
		WithHint("check the name, the account, and that the token has '%s' on it", Permission(http.MethodGet, "/zones"))
}

// ZoneOf finds the zone a hostname is in: the longest zone name that is the host or a parent of it.
func (c *Client) ZoneOf(ctx context.Context, host string) (Zone, error) {
	found, err := c.zones(ctx, "")
	if err != nil {
		return Zone{}, err
	}
	var best Zone
	for _, z := range found {
		name := strings.ToLower(z.Name)
		if (host == name || strings.HasSuffix(host, "."+name)) && len(z.Name) > len(best.Name) {
			best = z
		}
	}
	if best.ID == "" {
		return Zone{}, fault.New(fault.NotFound, "no zone of this account holds %s", host).
			WithHint("name one with --zone, and check that the token has '%s' on it", Permission(http.MethodGet, "/zones"))
	}
	return best, nil
}

func (c *Client) zones(ctx context.Context, name string) ([]Zone, error) {
	res, err := c.api.ListZonesContext(ctx, cloudflare.WithZoneFilters(name, c.account, ""))
	if err != nil {
		return nil, fail("list zones", err)
	}
	zones := make([]Zone, len(res.Result))
	for i, z := range res.Result {
		zones[i] = Zone{ID: z.ID, Name: z.Name, Status: z.Status}
	}
	return zones, nil
}

// DNSRecord is one record of a zone; only a proxied one lets Workers run for its name.
type DNSRecord struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Content string `json:"content"`
	Proxied bool   `json:"proxied"`
}

// DNSRecords lists the records of one exact name in a zone, or of the whole zone when name is empty.
func (c *Client) DNSRecords(ctx context.Context, zoneID, name string) ([]DNSRecord, error) {
	res, _, err := c.api.ListDNSRecords(ctx, cloudflare.ZoneIdentifier(zoneID), cloudflare.ListDNSRecordsParams{Name: name})
	if err != nil {
		return nil, fail("read DNS records of zone "+zoneID, err)
	}
	records := make([]DNSRecord, len(res))
	for i, r := range res {
		records[i] = DNSRecord{ID: r.ID, Type: r.Type, Name: r.Name, Content: r.Content, Proxied: r.Proxied != nil && *r.Proxied}
	}
	return records, nil
}
