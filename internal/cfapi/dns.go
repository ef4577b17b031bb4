package cfapi

import (
	"context"
	"net/http"
	"net/url"
)

// TimedRecord is a DNS record with how long resolvers may keep it; 1 is automatic.
type TimedRecord struct {
	DNSRecord
	TTL int `json:"ttl"`
}

// TimedRecords lists the records of one exact name in a zone.
func (c *Client) TimedRecords(ctx context.Context, zoneID, name string) ([]TimedRecord, error) {
	return all[TimedRecord](ctx, c, call{
		doing: "read DNS records of " + name, method: http.MethodGet,
		path: "/zones/" + url.PathEscape(zoneID) + "/dns_records", query: url.Values{"name": {name}},
	}, "100")
}
