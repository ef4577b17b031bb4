package api

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) dns() []endpoint {
	return []endpoint{
		{method: "GET", pattern: "/zones/{zone}/dns_records", permission: reads(groupDNS), handle: s.listRecords},
		{method: "POST", pattern: "/zones/{zone}/dns_records", permission: writes(groupDNS), handle: s.createRecord},
		{method: "GET", pattern: "/zones/{zone}/dns_records/{record}", permission: reads(groupDNS), handle: s.getRecord},
		{method: "PUT", pattern: "/zones/{zone}/dns_records/{record}", permission: writes(groupDNS), handle: s.replaceRecord},
		{method: "PATCH", pattern: "/zones/{zone}/dns_records/{record}", permission: writes(groupDNS), handle: s.patchRecord},
		{method: "DELETE", pattern: "/zones/{zone}/dns_records/{record}", permission: writes(groupDNS), handle: s.deleteRecord},
	}
}

type recordView struct {
	ID        string         `json:"id"`
	ZoneID    string         `json:"zone_id"`
	ZoneName  string         `json:"zone_name"`
	Name      string         `json:"name"`
	Type      string         `json:"type"`
	Content   string         `json:"content"`
	Proxiable bool           `json:"proxiable"`
	Proxied   bool           `json:"proxied"`
	TTL       int            `json:"ttl"`
	Comment   *string        `json:"comment"`
	Tags      []string       `json:"tags"`
	Settings  map[string]any `json:"settings"`
	Meta      map[string]any `json:"meta"`
	Created   time.Time      `json:"created_on"`
	Modified  time.Time      `json:"modified_on"`
}

func viewRecord(z store.Zone, r store.DNSRecord) recordView {
	v := recordView{ID: r.ID, ZoneID: z.ID, ZoneName: z.Name, Name: r.Name, Type: r.Type, Content: r.Content, Proxiable: proxiable(r.Type),
		Proxied: r.Proxied, TTL: r.TTL, Tags: []string{}, Settings: map[string]any{}, Meta: map[string]any{}, Created: r.Created, Modified: r.Modified}
	if r.Comment != "" {
		v.Comment = &r.Comment
	}
	return v
}

func proxiable(kind string) bool { return kind == "A" || kind == "AAAA" || kind == "CNAME" }

// recordRequest has pointers because PATCH changes only what it names.
type recordRequest struct {
	Type    *string `json:"type"`
	Name    *string `json:"name"`
	Content *string `json:"content"`
	TTL     *int    `json:"ttl"`
	Proxied *bool   `json:"proxied"`
	Comment *string `json:"comment"`
}

func (q recordRequest) apply(r *store.DNSRecord) {
	set(&r.Type, q.Type)
	set(&r.Name, q.Name)
	set(&r.Content, q.Content)
	set(&r.TTL, q.TTL)
	set(&r.Proxied, q.Proxied)
	set(&r.Comment, q.Comment)
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// normalise completes a record as Cloudflare does and refuses what it would refuse.
func normalise(z store.Zone, r *store.DNSRecord) error {
	r.Type = strings.ToUpper(r.Type)
	r.Name = strings.ToLower(strings.TrimSuffix(r.Name, "."))
	switch {
	case r.Name == "" || r.Name == "@":
		r.Name = z.Name
	case r.Name != z.Name && !strings.HasSuffix(r.Name, "."+z.Name):
		r.Name += "." + z.Name
	}
	if !slices.Contains([]string{"A", "AAAA", "CNAME", "TXT", "MX", "NS", "SRV", "CAA", "PTR", "HTTPS", "SVCB", "TLSA"}, r.Type) {
		return bad(9004, "DNS Validation Error: invalid DNS record type %q", r.Type)
	}
	if r.Content == "" {
		return bad(9009, "DNS Validation Error: content is required")
	}
	address, err := netip.ParseAddr(r.Content)
	if r.Type == "A" && (err != nil || !address.Is4()) {
		return bad(9005, "Content for A record must be a valid IPv4 address.")
	}
	if r.Type == "AAAA" && (err != nil || !address.Is6()) {
		return bad(9006, "Content for AAAA record must be a valid IPv6 address.")
	}
	if r.Proxied && !proxiable(r.Type) {
		return bad(9004, "This record type cannot be proxied.")
	}
	if r.TTL == 0 || r.Proxied {
		r.TTL = 1 // automatic
	}
	if r.TTL != 1 && (r.TTL < 60 || r.TTL > 86400) {
		return bad(9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
	}
	return nil
}

// clash refuses a second identical record (81058), and a CNAME beside any address record or the other way round (81053, 81054).
func clash(tx *store.Tx, r store.DNSRecord) error {
	all, err := mentioning[store.DNSRecord](tx, store.DNSRecords, r.ZoneID+"/", r.Name)
	if err != nil {
		return err
	}
	address := func(kind string) bool { return kind == "A" || kind == "AAAA" || kind == "CNAME" }
	for _, other := range all {
		switch {
		case other.ID == r.ID || other.Name != r.Name:
		case other.Type == r.Type && other.Content == r.Content:
			return bad(81058, "An identical record already exists.")
		case r.Type == "CNAME" && address(other.Type):
			return bad(81053, "An A, AAAA, or CNAME record with that host already exists.")
		case other.Type == "CNAME" && address(r.Type):
			return bad(81054, "A CNAME record with that host already exists.")
		}
	}
	return nil
}

func (s *server) listRecords(c *call) (any, error) {
	z, err := s.zone(c.param("zone"))
	if err != nil {
		return nil, err
	}
	all, err := readAll[store.DNSRecord](s, store.DNSRecords, z.ID+"/")
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b store.DNSRecord) int { return strings.Compare(a.Name+" "+a.Type+a.ID, b.Name+" "+b.Type+b.ID) })
	var views []recordView
	for _, r := range all {
		if recordMatches(c, r) {
			views = append(views, viewRecord(z, r))
		}
	}
	return paginate(c, views, 100, 5_000_000), nil
}

func recordMatches(c *call, r store.DNSRecord) bool {
	wanted := func(key, value string) bool {
		q := c.query(key)
		if q == "" {
			q = c.query(key + ".exact")
		}
		return q == "" || strings.EqualFold(q, value)
	}
	proxied := c.query("proxied")
	return wanted("type", r.Type) && wanted("name", r.Name) && wanted("content", r.Content) &&
		(proxied == "" || c.flag("proxied") == r.Proxied)
}

func (s *server) createRecord(c *call) (any, error) {
	var req recordRequest
	if err := c.decodeAs(9207, &req); err != nil {
		return nil, err
	}
	now := s.now()
	return s.saveRecord(c, req, store.DNSRecord{ID: newID(), Created: now})
}

func (s *server) saveRecord(c *call, req recordRequest, r store.DNSRecord) (any, error) {
	z, err := s.zone(c.param("zone"))
	if err != nil {
		return nil, err
	}
	req.apply(&r)
	r.ZoneID, r.Modified = z.ID, s.now()
	if err := normalise(z, &r); err != nil {
		return nil, err
	}
	err = s.Store.Update(func(tx *store.Tx) error {
		if err := clash(tx, r); err != nil {
			return err
		}
		return tx.Put(store.DNSRecords, z.ID+"/"+r.ID, r)
	})
	return viewRecord(z, r), err
}

func (s *server) record(c *call) (store.DNSRecord, error) {
	r, err := read[store.DNSRecord](s, store.DNSRecords, recordKey(c))
	return r, orMissing(err, missing(81044, "Record does not exist."))
}

func recordKey(c *call) string {
	return strings.ToLower(c.param("zone")) + "/" + strings.ToLower(c.param("record"))
}

func (s *server) getRecord(c *call) (any, error) {
	r, err := s.record(c)
	if err != nil {
		return nil, err
	}
	z, err := s.zone(r.ZoneID)
	return viewRecord(z, r), err
}

func (s *server) replaceRecord(c *call) (any, error) {
	old, err := s.record(c)
	if err != nil {
		return nil, err
	}
	var req recordRequest
	if err := c.decodeAs(9207, &req); err != nil {
		return nil, err
	}
	return s.saveRecord(c, req, store.DNSRecord{ID: old.ID, Created: old.Created})
}

func (s *server) patchRecord(c *call) (any, error) {
	old, err := s.record(c)
	if err != nil {
		return nil, err
	}
	var req recordRequest
	if err := c.decodeAs(9207, &req); err != nil {
		return nil, err
	}
	return s.saveRecord(c, req, old)
}

func (s *server) deleteRecord(c *call) (any, error) {
	err := s.Store.Update(func(tx *store.Tx) error {
		return orMissing(tx.Delete(store.DNSRecords, recordKey(c)), missing(81044, "Record does not exist."))
	})
	return map[string]string{"id": c.param("record")}, err
}
