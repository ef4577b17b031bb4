package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) r2Domains() []endpoint {
	const custom, managed = "/accounts/{account}/r2/buckets/{bucket}/domains/custom", "/accounts/{account}/r2/buckets/{bucket}/domains/managed"
	return []endpoint{
		{method: "GET", pattern: custom, permission: reads(groupR2), handle: s.listBucketDomains},
		{method: "POST", pattern: custom, permission: writes(groupR2), handle: s.attachBucketDomain},
		{method: "GET", pattern: custom + "/{domain}", permission: reads(groupR2), handle: s.getBucketDomain},
		{method: "PUT", pattern: custom + "/{domain}", permission: writes(groupR2), handle: s.updateBucketDomain},
		{method: "DELETE", pattern: custom + "/{domain}", permission: writes(groupR2), handle: s.removeBucketDomain},
		{method: "GET", pattern: managed, permission: reads(groupR2), handle: s.getManagedDomain},
		{method: "PUT", pattern: managed, permission: writes(groupR2), handle: s.putManagedDomain},
	}
}

// bucketDomains is how a bucket is reachable from outside, kept among the account's settings.
type bucketDomains struct {
	ID      string         `json:"id"`
	Managed bool           `json:"managed"`
	Custom  []bucketDomain `json:"custom"`
}

type bucketDomain struct {
	Domain   string            `json:"domain"`
	Enabled  bool              `json:"enabled"`
	ZoneID   string            `json:"zoneId"`
	ZoneName string            `json:"zoneName"`
	MinTLS   string            `json:"minTLS"`
	Status   map[string]string `json:"status"`
}

func bucketDomainsKey(bucket string) string { return "r2-domains/" + bucket }

func bucketDomainsOf(tx *store.Tx, bucket string) (bucketDomains, error) {
	var d bucketDomains
	err := tx.Get(store.Settings, bucketDomainsKey(bucket), &d)
	if errors.Is(err, fault.NotFound) {
		return bucketDomains{ID: newID(), Custom: []bucketDomain{}}, nil
	}
	return d, err
}

func (s *server) bucketDomains(c *call) (bucketDomains, error) {
	b, err := s.bucket(c)
	if err != nil {
		return bucketDomains{}, err
	}
	var d bucketDomains
	err = s.Store.View(func(tx *store.Tx) error { d, err = bucketDomainsOf(tx, b.Name); return err })
	return d, err
}

func (s *server) changeBucketDomains(c *call, change func(*store.Tx, *bucketDomains) error) (bucketDomains, error) {
	b, err := s.bucket(c)
	if err != nil {
		return bucketDomains{}, err
	}
	var d bucketDomains
	err = s.Store.Update(func(tx *store.Tx) error {
		if d, err = bucketDomainsOf(tx, b.Name); err != nil {
			return err
		}
		if err := change(tx, &d); err != nil {
			return err
		}
		return tx.Put(store.Settings, bucketDomainsKey(b.Name), d)
	})
	return d, err
}

func (s *server) listBucketDomains(c *call) (any, error) {
	d, err := s.bucketDomains(c)
	return map[string]any{"domains": d.Custom}, err
}

func (d bucketDomains) index(domain string) int {
	return slices.IndexFunc(d.Custom, func(b bucketDomain) bool { return strings.EqualFold(b.Domain, domain) })
}

func noBucketDomain() *apiError { return missing(10053, "The custom domain was not found.") }

func (s *server) getBucketDomain(c *call) (any, error) {
	d, err := s.bucketDomains(c)
	if err != nil {
		return nil, err
	}
	if at := d.index(c.param("domain")); at >= 0 {
		return d.Custom[at], nil
	}
	return nil, noBucketDomain()
}

func (s *server) attachBucketDomain(c *call) (any, error) {
	req := bucketDomain{Enabled: true, MinTLS: "1.0"}
	if err := c.decodeAs(10040, &req); err != nil {
		return nil, err
	}
	req.Domain = strings.ToLower(req.Domain)
	req.Status = map[string]string{"ownership": "active", "ssl": "active"}
	_, err := s.changeBucketDomains(c, func(tx *store.Tx, d *bucketDomains) error {
		var z store.Zone
		if err := tx.Get(store.Zones, strings.ToLower(req.ZoneID), &z); err != nil {
			return orMissing(err, bad(10050, "The zone does not exist."))
		}
		if req.ZoneName = z.Name; req.Domain != z.Name && !strings.HasSuffix(req.Domain, "."+z.Name) {
			return bad(10050, "The domain does not belong to the zone.")
		}
		if err := bucketDomainFree(tx, req.Domain); err != nil {
			return err
		}
		d.Custom = append(d.Custom, req)
		return nil
	})
	return req, err
}

func bucketDomainFree(tx *store.Tx, domain string) error {
	all, err := store.All[bucketDomains](tx, store.Settings, bucketDomainsKey(""))
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.index(domain) >= 0 {
			return fail(http.StatusConflict, 10052, "The domain %s is already in use.", domain)
		}
	}
	return nil
}

func (s *server) updateBucketDomain(c *call) (any, error) {
	var req struct {
		Enabled *bool   `json:"enabled"`
		MinTLS  *string `json:"minTLS"`
	}
	if err := c.decodeAs(10040, &req); err != nil {
		return nil, err
	}
	var changed bucketDomain
	_, err := s.changeBucketDomains(c, func(_ *store.Tx, d *bucketDomains) error {
		at := d.index(c.param("domain"))
		if at < 0 {
			return noBucketDomain()
		}
		set(&d.Custom[at].Enabled, req.Enabled)
		set(&d.Custom[at].MinTLS, req.MinTLS)
		changed = d.Custom[at]
		return nil
	})
	return changed, err
}

func (s *server) removeBucketDomain(c *call) (any, error) {
	_, err := s.changeBucketDomains(c, func(_ *store.Tx, d *bucketDomains) error {
		at := d.index(c.param("domain"))
		if at < 0 {
			return noBucketDomain()
		}
		d.Custom = slices.Delete(d.Custom, at, at+1)
		return nil
	})
	return map[string]string{"domain": c.param("domain")}, err
}

func (d bucketDomains) managed() map[string]any {
	return map[string]any{"bucketId": d.ID, "domain": "pub-" + d.ID + ".r2.dev", "enabled": d.Managed}
}

func (s *server) getManagedDomain(c *call) (any, error) {
	d, err := s.bucketDomains(c)
	return d.managed(), err
}

func (s *server) putManagedDomain(c *call) (any, error) {
	var req struct {
		Enabled bool `json:"enabled"`
	}
	if err := c.decodeAs(10040, &req); err != nil {
		return nil, err
	}
	d, err := s.changeBucketDomains(c, func(_ *store.Tx, d *bucketDomains) error { d.Managed = req.Enabled; return nil })
	return d.managed(), err
}
