package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) r2() []endpoint {
	const all, one = "/accounts/{account}/r2/buckets", "/accounts/{account}/r2/buckets/{bucket}"
	return []endpoint{
		{method: "GET", pattern: all, permission: reads(groupR2), handle: s.listBuckets},
		{method: "POST", pattern: all, permission: writes(groupR2), handle: s.createBucket},
		{method: "GET", pattern: one, permission: reads(groupR2), handle: s.getBucket},
		{method: "PATCH", pattern: one, permission: writes(groupR2), handle: s.patchBucket},
		{method: "DELETE", pattern: one, permission: writes(groupR2), handle: s.deleteBucket},
		{method: "GET", pattern: one + "/lifecycle", permission: reads(groupR2), handle: s.getLifecycle},
		{method: "PUT", pattern: one + "/lifecycle", permission: writes(groupR2), handle: s.putLifecycle},
		{method: "GET", pattern: one + "/cors", permission: reads(groupR2), handle: s.getCORS},
		{method: "PUT", pattern: one + "/cors", permission: writes(groupR2), handle: s.putCORS},
		{method: "DELETE", pattern: one + "/cors", permission: writes(groupR2), handle: s.deleteCORS},
	}
}

type bucketView struct {
	Name         string    `json:"name"`
	Created      time.Time `json:"creation_date"`
	Location     string    `json:"location,omitempty"`
	StorageClass string    `json:"storage_class"`
	Jurisdiction string    `json:"jurisdiction,omitempty"`
}

func viewBucket(b store.Bucket) bucketView {
	return bucketView{b.Name, b.Created, b.Location, b.StorageClass, b.Jurisdiction}
}

func (s *server) listBuckets(c *call) (any, error) {
	all, err := readAll[store.Bucket](s, store.Buckets, "")
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(b store.Bucket) bool {
		return !strings.Contains(b.Name, c.query("name_contains")) || b.Name <= c.query("start_after")
	})
	buckets, info, err := afterCursor(c, all, func(b store.Bucket) string { return b.Name }, 20, 1000)
	if err != nil {
		return nil, err
	}
	views := make([]bucketView, 0, len(buckets))
	for _, b := range buckets {
		views = append(views, viewBucket(b))
	}
	return list{map[string]any{"buckets": views}, info}, nil
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)

type bucketRequest struct {
	Name         string `json:"name"`
	LocationHint string `json:"locationHint"`
	StorageClass string `json:"storageClass"`
}

func (s *server) createBucket(c *call) (any, error) {
	var req bucketRequest
	if err := c.decodeAs(10040, &req); err != nil {
		return nil, err
	}
	if !bucketName.MatchString(req.Name) {
		return nil, bad(10005, "The specified bucket name is not valid.")
	}
	class, err := storageClass(req.StorageClass)
	if err != nil {
		return nil, err
	}
	b := store.Bucket{Name: req.Name, Location: strings.ToUpper(req.LocationHint), StorageClass: class,
		Jurisdiction: jurisdiction(c), Created: s.now(), Lifecycle: []store.LifecycleRule{defaultLifecycle()}}
	err = s.Store.Update(func(tx *store.Tx) error {
		if ok, err := exists[store.Bucket](tx, store.Buckets, b.Name); err != nil || ok {
			return orElse(err, fail(http.StatusConflict, 10004, "The bucket you tried to create already exists, and you own it."))
		}
		return tx.Put(store.Buckets, b.Name, b)
	})
	return viewBucket(b), err
}

// defaultLifecycle is the rule every new bucket carries; a PUT of other rules deletes it.
func defaultLifecycle() store.LifecycleRule {
	return store.LifecycleRule{ID: "Default Multipart Abort Rule", Enabled: true,
		AbortMultipart: &store.LifecycleAction{Condition: store.LifecycleCondition{Type: "Age", MaxAge: 7 * 24 * 60 * 60}}}
}

func jurisdiction(c *call) string {
	j := c.r.Header.Get("cf-r2-jurisdiction")
	if j == "default" {
		return ""
	}
	return j
}

func storageClass(class string) (string, error) {
	switch class {
	case "":
		return "Standard", nil
	case "Standard", "InfrequentAccess":
		return class, nil
	}
	return "", bad(10062, "The storage class you specified is not valid.")
}

// bucket finds a bucket of the request's jurisdiction; one of another jurisdiction is not there.
func (s *server) bucket(c *call) (store.Bucket, error) {
	gone := missing(10006, "The specified bucket does not exist.")
	b, err := read[store.Bucket](s, store.Buckets, c.param("bucket"))
	if err == nil && b.Jurisdiction != jurisdiction(c) {
		return b, gone
	}
	return b, orMissing(err, gone)
}

func (s *server) getBucket(c *call) (any, error) {
	b, err := s.bucket(c)
	return viewBucket(b), err
}

// changeBucket applies one change to a bucket in one transaction.
func (s *server) changeBucket(c *call, change func(*store.Bucket) error) (store.Bucket, error) {
	if _, err := s.bucket(c); err != nil {
		return store.Bucket{}, err
	}
	var b store.Bucket
	err := s.Store.Update(func(tx *store.Tx) error {
		if err := tx.Get(store.Buckets, c.param("bucket"), &b); err != nil {
			return orMissing(err, missing(10006, "The specified bucket does not exist."))
		}
		if err := change(&b); err != nil {
			return err
		}
		return tx.Put(store.Buckets, b.Name, b)
	})
	return b, err
}

func (s *server) patchBucket(c *call) (any, error) {
	class, err := storageClass(c.r.Header.Get("cf-r2-storage-class"))
	if err != nil {
		return nil, err
	}
	b, err := s.changeBucket(c, func(b *store.Bucket) error { b.StorageClass = class; return nil })
	return viewBucket(b), err
}

func (s *server) deleteBucket(c *call) (any, error) {
	b, err := s.bucket(c)
	if err != nil {
		return nil, err
	}
	if err := s.Store.R2().DropBucket(b.Name); err != nil {
		if fault.KindOf(err) == fault.Conflict {
			return nil, fail(http.StatusConflict, 10008, "The bucket you tried to delete is not empty.")
		}
		return nil, err
	}
	err = s.Store.Update(func(tx *store.Tx) error { return tx.Delete(store.Settings, bucketDomainsKey(b.Name)) })
	return map[string]any{}, orNil(err)
}

// orNil forgives that what should go was not there.
func orNil(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}

func (s *server) getLifecycle(c *call) (any, error) {
	b, err := s.bucket(c)
	rules := b.Lifecycle
	if rules == nil {
		rules = []store.LifecycleRule{}
	}
	return map[string]any{"rules": rules}, err
}

func (s *server) putLifecycle(c *call) (any, error) {
	var req struct {
		Rules []store.LifecycleRule `json:"rules"`
	}
	if err := c.decodeAs(10040, &req); err != nil {
		return nil, err
	}
	if err := validateLifecycle(req.Rules); err != nil {
		return nil, err
	}
	_, err := s.changeBucket(c, func(b *store.Bucket) error { b.Lifecycle = req.Rules; return nil })
	return map[string]any{}, err
}

// validateLifecycle gives a rule without an id one, as Cloudflare does, and refuses what could not be executed.
func validateLifecycle(rules []store.LifecycleRule) error {
	if len(rules) > 1000 {
		return bad(10057, "A bucket may have at most 1000 lifecycle rules.")
	}
	seen := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		if r.ID == "" {
			r.ID = newID()
		}
		if seen[r.ID] {
			return bad(10057, "Lifecycle rule id %q is used twice.", r.ID)
		}
		seen[r.ID] = true
		if r.AbortMultipart != nil && r.AbortMultipart.Condition.Type != "Age" {
			return bad(10057, "Rule %q: multipart uploads can only be aborted by age.", r.ID)
		}
		if err := validateActions(*r); err != nil {
			return err
		}
	}
	return nil
}

func validateActions(r store.LifecycleRule) error {
	actions := slices.Clone(r.Transition)
	for _, a := range r.Transition {
		if a.StorageClass != "InfrequentAccess" {
			return bad(10057, "Rule %q: objects can only move to InfrequentAccess.", r.ID)
		}
	}
	for _, a := range []*store.LifecycleAction{r.Delete, r.AbortMultipart} {
		if a != nil {
			actions = append(actions, *a)
		}
	}
	if len(actions) == 0 {
		return bad(10057, "Rule %q has no action.", r.ID)
	}
	for _, a := range actions {
		age := a.Condition.Type == "Age" && a.Condition.MaxAge > 0
		date := a.Condition.Type == "Date" && a.Condition.Date != nil
		if !age && !date {
			return bad(10057, "Rule %q needs an Age of at least one second or a Date.", r.ID)
		}
	}
	return nil
}

func (s *server) getCORS(c *call) (any, error) {
	b, err := s.bucket(c)
	if err == nil && b.CORS == nil {
		return nil, missing(10059, "The CORS configuration does not exist.")
	}
	return b.CORS, err
}

func (s *server) putCORS(c *call) (any, error) {
	var req struct {
		Rules []struct {
			ID      string `json:"id,omitempty"`
			Allowed struct {
				Origins []string `json:"origins"`
				Methods []string `json:"methods"`
				Headers []string `json:"headers,omitempty"`
			} `json:"allowed"`
			ExposeHeaders []string `json:"exposeHeaders,omitempty"`
			MaxAge        int      `json:"maxAgeSeconds,omitempty"`
		} `json:"rules"`
	}
	if err := c.decodeAs(10040, &req); err != nil {
		return nil, err
	}
	for _, r := range req.Rules {
		if len(r.Allowed.Origins) == 0 || len(r.Allowed.Methods) == 0 {
			return nil, bad(10058, "A CORS rule needs allowed origins and methods.")
		}
		for _, m := range r.Allowed.Methods {
			if !slices.Contains([]string{"GET", "PUT", "POST", "DELETE", "HEAD"}, m) {
				return nil, bad(10058, "CORS method %q is not valid.", m)
			}
		}
	}
	rules, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	_, err = s.changeBucket(c, func(b *store.Bucket) error { b.CORS = rules; return nil })
	return map[string]any{}, err
}

func (s *server) deleteCORS(c *call) (any, error) {
	_, err := s.changeBucket(c, func(b *store.Bucket) error { b.CORS = nil; return nil })
	return map[string]any{}, err
}
