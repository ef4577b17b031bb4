package api

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) hyperdrive() []endpoint {
	const all, one = "/accounts/{account}/hyperdrive/configs", "/accounts/{account}/hyperdrive/configs/{config}"
	return []endpoint{
		{method: "GET", pattern: all, permission: reads(groupHyperdrive), handle: s.listHyperdrives},
		{method: "POST", pattern: all, permission: writes(groupHyperdrive), handle: s.createHyperdrive},
		{method: "GET", pattern: one, permission: reads(groupHyperdrive), handle: s.getHyperdrive},
		{method: "PUT", pattern: one, permission: writes(groupHyperdrive), handle: s.putHyperdrive},
		{method: "PATCH", pattern: one, permission: writes(groupHyperdrive), handle: s.patchHyperdrive},
		{method: "DELETE", pattern: one, permission: writes(groupHyperdrive), handle: s.deleteHyperdrive},
	}
}

// hyperdriveView has no field that a password could be in.
type hyperdriveView struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Origin struct {
		Scheme   string `json:"scheme"`
		Host     string `json:"host"`
		Port     int    `json:"port"`
		Database string `json:"database"`
		User     string `json:"user"`
	} `json:"origin"`
	Caching  json.RawMessage `json:"caching"`
	MTLS     json.RawMessage `json:"mtls,omitempty"`
	Limit    int             `json:"origin_connection_limit,omitempty"`
	Created  time.Time       `json:"created_on"`
	Modified time.Time       `json:"modified_on"`
}

func viewHyperdrive(h store.Hyperdrive) hyperdriveView {
	v := hyperdriveView{ID: h.ID, Name: h.Name, Caching: h.Caching, MTLS: h.MTLS, Limit: h.ConnectionLimit, Created: h.Created, Modified: h.Modified}
	v.Origin.Scheme, v.Origin.Host, v.Origin.Port, v.Origin.Database, v.Origin.User = h.Origin.Scheme, h.Origin.Host, h.Origin.Port, h.Origin.Database, h.Origin.User
	if v.Caching == nil {
		v.Caching = json.RawMessage(`{"disabled":false}`)
	}
	return v
}

type hyperdriveRequest struct {
	Name   *string `json:"name"`
	Origin *struct {
		Scheme   *string `json:"scheme"`
		Host     *string `json:"host"`
		Port     *int    `json:"port"`
		Database *string `json:"database"`
		User     *string `json:"user"`
		Password *string `json:"password"`
	} `json:"origin"`
	Caching json.RawMessage `json:"caching"`
	MTLS    json.RawMessage `json:"mtls"`
	Limit   *int            `json:"origin_connection_limit"`
}

func (q hyperdriveRequest) apply(h *store.Hyperdrive) {
	set(&h.Name, q.Name)
	set(&h.ConnectionLimit, q.Limit)
	setJSON(&h.Caching, q.Caching)
	setJSON(&h.MTLS, q.MTLS)
	if o := q.Origin; o != nil {
		set(&h.Origin.Scheme, o.Scheme)
		set(&h.Origin.Host, o.Host)
		set(&h.Origin.Port, o.Port)
		set(&h.Origin.Database, o.Database)
		set(&h.Origin.User, o.User)
		set(&h.Origin.Password, o.Password)
	}
}

func validateHyperdrive(h *store.Hyperdrive) error {
	o := &h.Origin
	if o.Scheme == "postgresql" {
		o.Scheme = "postgres"
	}
	if o.Port == 0 {
		o.Port = map[string]int{"postgres": 5432, "mysql": 3306}[o.Scheme]
	}
	switch {
	case h.Name == "":
		return bad(2007, "Invalid Hyperdrive config: name is required")
	case !slices.Contains([]string{"postgres", "mysql"}, o.Scheme):
		return bad(2007, "Invalid Hyperdrive config: origin.scheme must be postgres, postgresql or mysql")
	case o.Host == "" || o.Database == "" || o.User == "" || o.Password == "":
		return bad(2007, "Invalid Hyperdrive config: origin needs host, database, user and password")
	case o.Port < 1 || o.Port > 65535:
		return bad(2007, "Invalid Hyperdrive config: origin.port %d is not a port", o.Port)
	}
	return nil
}

func (s *server) listHyperdrives(c *call) (any, error) {
	all, err := readAll[store.Hyperdrive](s, store.Hyperdrives, "")
	slices.SortFunc(all, func(a, b store.Hyperdrive) int { return strings.Compare(a.Name, b.Name) })
	views := []hyperdriveView{}
	for _, h := range all {
		views = append(views, viewHyperdrive(h))
	}
	return paginate(c, views, 20, 100), err
}

func (s *server) createHyperdrive(c *call) (any, error) {
	return s.saveHyperdrive(c, store.Hyperdrive{ID: newID(), Created: s.now()})
}

func (s *server) saveHyperdrive(c *call, h store.Hyperdrive) (any, error) {
	var req hyperdriveRequest
	if err := c.decodeAs(2007, &req); err != nil {
		return nil, err
	}
	req.apply(&h)
	h.Modified = s.now()
	if err := validateHyperdrive(&h); err != nil {
		return nil, err
	}
	err := s.Store.Update(func(tx *store.Tx) error {
		all, err := store.All[store.Hyperdrive](tx, store.Hyperdrives, "")
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(o store.Hyperdrive) bool { return o.Name == h.Name && o.ID != h.ID }) {
			return fail(409, 2017, "A Hyperdrive config with the name %q already exists", h.Name)
		}
		return tx.Put(store.Hyperdrives, h.ID, h)
	})
	return viewHyperdrive(h), err
}

func (s *server) hyperdriveOf(c *call) (store.Hyperdrive, error) {
	h, err := read[store.Hyperdrive](s, store.Hyperdrives, c.param("config"))
	return h, orMissing(err, missing(2006, "Hyperdrive config not found"))
}

func (s *server) getHyperdrive(c *call) (any, error) {
	h, err := s.hyperdriveOf(c)
	return viewHyperdrive(h), err
}

// putHyperdrive replaces everything but the identity.
func (s *server) putHyperdrive(c *call) (any, error) {
	h, err := s.hyperdriveOf(c)
	if err != nil {
		return nil, err
	}
	return s.saveHyperdrive(c, store.Hyperdrive{ID: h.ID, Created: h.Created})
}

func (s *server) patchHyperdrive(c *call) (any, error) {
	h, err := s.hyperdriveOf(c)
	if err != nil {
		return nil, err
	}
	return s.saveHyperdrive(c, h)
}

func (s *server) deleteHyperdrive(c *call) (any, error) {
	return nil, s.Store.Update(func(tx *store.Tx) error {
		return orMissing(tx.Delete(store.Hyperdrives, c.param("config")), missing(2006, "Hyperdrive config not found"))
	})
}
