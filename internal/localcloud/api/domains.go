package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// workerAddress is the content of the record that a custom domain creates: the discard address, since no origin exists.
const workerAddress = "100::"

func (s *server) domainEndpoints() []endpoint {
	const all, one = "/accounts/{account}/workers/domains", "/accounts/{account}/workers/domains/{domain}"
	const script = "/accounts/{account}/workers/scripts/{script}/domains"
	return []endpoint{
		{method: "GET", pattern: all, permission: reads(groupScripts), handle: s.listDomains},
		{method: "PUT", pattern: all, permission: writes(groupScripts), handle: s.attachDomain},
		{method: "GET", pattern: one, permission: reads(groupScripts), handle: s.getDomain},
		{method: "DELETE", pattern: one, permission: writes(groupScripts), handle: s.detachDomain},
		{method: "POST", pattern: script + "/changeset", permission: writes(groupScripts), handle: s.domainChangeset},
		{method: "PUT", pattern: script + "/records", permission: writes(groupScripts), handle: s.replaceScriptDomains},
	}
}

type domainView struct {
	store.CustomDomain
	Environment string `json:"environment"`
}

func viewDomain(d store.CustomDomain) domainView { return domainView{d, "production"} }

func (s *server) listDomains(c *call) (any, error) {
	all, err := readAll[store.CustomDomain](s, store.Domains, "")
	views := []domainView{}
	for _, d := range all {
		wanted := func(key, value string) bool { return c.query(key) == "" || strings.EqualFold(c.query(key), value) }
		if wanted("hostname", d.Hostname) && wanted("service", d.Service) && wanted("zone_id", d.ZoneID) && wanted("zone_name", d.ZoneName) && wanted("environment", "production") {
			views = append(views, viewDomain(d))
		}
	}
	return views, err
}

func noDomain() *apiError { return missing(100114, "The requested custom domain was not found.") }

func (s *server) getDomain(c *call) (any, error) {
	d, err := read[store.CustomDomain](s, store.Domains, c.param("domain"))
	return viewDomain(d), orMissing(err, noDomain())
}

type domainRequest struct {
	Hostname       string `json:"hostname"`
	Service        string `json:"service"`
	ZoneID         string `json:"zone_id"`
	ZoneName       string `json:"zone_name"`
	OverrideOrigin bool   `json:"override_existing_origin"`
	OverrideRecord bool   `json:"override_existing_dns_record"`
}

func (s *server) attachDomain(c *call) (any, error) {
	var req domainRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	var d store.CustomDomain
	err := s.Store.Update(func(tx *store.Tx) error {
		var err error
		d, err = s.attach(tx, req)
		return err
	})
	return viewDomain(d), err
}

// attach gives a hostname to a script, with the proxied record that makes it resolve.
func (s *server) attach(tx *store.Tx, req domainRequest) (store.CustomDomain, error) {
	host := strings.ToLower(req.Hostname)
	z, err := zoneOf(tx, routeRequest{Pattern: host, ZoneID: req.ZoneID, ZoneName: req.ZoneName})
	if err != nil {
		return store.CustomDomain{}, err
	}
	if host == "" || strings.ContainsAny(host, "*/:") || host != z.Name && !strings.HasSuffix(host, "."+z.Name) {
		return store.CustomDomain{}, bad(100115, "Hostname '%s' does not belong to zone %s.", host, z.Name)
	}
	if ok, err := exists[store.Script](tx, store.Scripts, req.Service); err != nil || !ok {
		return store.CustomDomain{}, orElse(err, noScript())
	}
	d, err := find(tx, store.Domains, "", func(o store.CustomDomain) bool { return o.Hostname == host })
	switch {
	case err == nil && d.Service != req.Service && !req.OverrideOrigin:
		return d, fail(http.StatusConflict, 100116, "Hostname '%s' already in use by other custom domain. Either delete it, or use the option 'override_existing_origin' to override.", host)
	case err == nil:
		d.Service = req.Service
		return d, tx.Put(store.Domains, d.ID, d)
	case orNil(err) != nil:
		return d, err
	}
	if err := s.claimRecord(tx, z, host, req.OverrideRecord); err != nil {
		return d, err
	}
	d = store.CustomDomain{ID: newID(), ZoneID: z.ID, ZoneName: z.Name, Hostname: host, Service: req.Service, CertID: uuid.NewString()}
	return d, tx.Put(store.Domains, d.ID, d)
}

func (s *server) claimRecord(tx *store.Tx, z store.Zone, host string, override bool) error {
	all, err := store.All[store.DNSRecord](tx, store.DNSRecords, z.ID+"/")
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Name != host || !proxiable(r.Type) {
			continue
		}
		if !override {
			return fail(http.StatusConflict, 100117, "Hostname '%s' already has externally managed DNS records (A, CNAME, etc). Either delete them, try a different hostname, or use the option 'override_existing_dns_record' to override.", host)
		}
		if err := tx.Delete(store.DNSRecords, z.ID+"/"+r.ID); err != nil {
			return err
		}
	}
	now := s.now()
	r := store.DNSRecord{ID: newID(), ZoneID: z.ID, Type: "AAAA", Name: host, Content: workerAddress, TTL: 1, Proxied: true, Created: now, Modified: now}
	return tx.Put(store.DNSRecords, z.ID+"/"+r.ID, r)
}

func (s *server) detachDomain(c *call) (any, error) {
	return nil, s.Store.Update(func(tx *store.Tx) error {
		var d store.CustomDomain
		if err := tx.Get(store.Domains, c.param("domain"), &d); err != nil {
			return orMissing(err, noDomain())
		}
		return dropDomain(tx, d)
	})
}

// dropDomain removes a custom domain and the record it made, but no record that somebody else put in its place.
func dropDomain(tx *store.Tx, d store.CustomDomain) error {
	records, err := store.All[store.DNSRecord](tx, store.DNSRecords, d.ZoneID+"/")
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Name == d.Hostname && r.Type == "AAAA" && r.Content == workerAddress {
			if err := tx.Delete(store.DNSRecords, d.ZoneID+"/"+r.ID); err != nil {
				return err
			}
		}
	}
	return tx.Delete(store.Domains, d.ID)
}

func dropDomains(tx *store.Tx, script string) error {
	all, err := store.All[store.CustomDomain](tx, store.Domains, "")
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.Service == script {
			if err := dropDomain(tx, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// domainChangeset says what a replacement of the script's domains would do; it changes nothing.
func (s *server) domainChangeset(c *call) (any, error) {
	var wanted []domainRequest
	if err := c.decode(&wanted); err != nil {
		return nil, err
	}
	all, err := readAll[store.CustomDomain](s, store.Domains, "")
	if err != nil {
		return nil, err
	}
	set := map[string][]any{"added": {}, "removed": {}, "updated": {}, "conflicting": {}}
	for _, w := range wanted {
		at := slices.IndexFunc(all, func(d store.CustomDomain) bool { return strings.EqualFold(d.Hostname, w.Hostname) })
		switch {
		case at < 0:
			set["added"] = append(set["added"], map[string]string{"hostname": w.Hostname})
		case all[at].Service != c.param("script"):
			set["updated"] = append(set["updated"], map[string]any{"id": all[at].ID, "hostname": w.Hostname, "service": all[at].Service, "modified": true, "external_dns_record_id": nil})
		}
	}
	for _, d := range all {
		if d.Service == c.param("script") && c.flag("replace_state") && !slices.ContainsFunc(wanted, func(w domainRequest) bool { return strings.EqualFold(d.Hostname, w.Hostname) }) {
			set["removed"] = append(set["removed"], viewDomain(d))
		}
	}
	return set, nil
}

// replaceScriptDomains makes the given hostnames the only custom domains of the script.
func (s *server) replaceScriptDomains(c *call) (any, error) {
	var req struct {
		OverrideOrigin bool            `json:"override_existing_origin"`
		OverrideRecord bool            `json:"override_existing_dns_record"`
		Origins        []domainRequest `json:"origins"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	script := c.param("script")
	defer s.scripts.lock(script)()
	return nil, s.Store.Update(func(tx *store.Tx) error {
		all, err := store.All[store.CustomDomain](tx, store.Domains, "")
		if err != nil {
			return err
		}
		for _, d := range all {
			if d.Service == script && !slices.ContainsFunc(req.Origins, func(w domainRequest) bool { return strings.EqualFold(d.Hostname, w.Hostname) }) {
				if err := dropDomain(tx, d); err != nil {
					return err
				}
			}
		}
		for _, w := range req.Origins {
			w.Service, w.OverrideOrigin, w.OverrideRecord = script, req.OverrideOrigin, req.OverrideRecord
			if _, err := s.attach(tx, w); err != nil {
				return err
			}
		}
		return nil
	})
}
