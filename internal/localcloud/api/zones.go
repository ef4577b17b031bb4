package api

import (
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) zones() []endpoint {
	return []endpoint{
		{method: "GET", pattern: "/zones", permission: reads(groupZone), handle: s.listZones},
		{method: "GET", pattern: "/zones/{zone}", permission: reads(groupZone), handle: s.getZone},
	}
}

type zoneView struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Status      string            `json:"status"`
	Paused      bool              `json:"paused"`
	Type        string            `json:"type"`
	Account     map[string]string `json:"account"`
	Owner       map[string]any    `json:"owner"`
	Plan        map[string]any    `json:"plan"`
	NameServers []string          `json:"name_servers"`
	Permissions []string          `json:"permissions"`
	Created     time.Time         `json:"created_on"`
	Modified    time.Time         `json:"modified_on"`
	Activated   time.Time         `json:"activated_on"`
}

func (s *server) zoneView(z store.Zone) zoneView {
	return zoneView{
		ID: z.ID, Name: z.Name, Status: z.Status, Type: "full",
		Account: map[string]string{"id": s.AccountID, "name": s.AccountName},
		Owner:   map[string]any{"id": nil, "type": "user", "email": nil},
		Plan:    map[string]any{"id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "name": "Free Website", "price": 0, "legacy_id": "free", "is_subscribed": false},
		// Reserved names: nothing may resolve them.
		NameServers: []string{"ns1.invalid", "ns2.invalid"}, Permissions: []string{"#zone:read", "#dns_records:edit", "#worker:edit"},
		Created: z.Created, Modified: z.Created, Activated: z.Created,
	}
}

func (s *server) zone(id string) (store.Zone, error) {
	return read[store.Zone](s, store.Zones, strings.ToLower(id))
}

func (s *server) listZones(c *call) (any, error) {
	all, err := readAll[store.Zone](s, store.Zones, "")
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b store.Zone) int { return strings.Compare(a.Name, b.Name) })
	var views []zoneView
	for _, z := range all {
		if s.zoneMatches(c, z) {
			views = append(views, s.zoneView(z))
		}
	}
	return paginate(c, views, 20, 1000), nil
}

func (s *server) zoneMatches(c *call, z store.Zone) bool {
	name := strings.ToLower(strings.TrimPrefix(c.query("name"), "equal:"))
	return (name == "" || name == z.Name) &&
		(c.query("account.id") == "" || strings.EqualFold(c.query("account.id"), s.AccountID)) &&
		(c.query("status") == "" || c.query("status") == z.Status)
}

func (s *server) getZone(c *call) (any, error) {
	z, err := s.zone(c.param("zone"))
	if err != nil {
		return nil, err
	}
	return s.zoneView(z), nil
}
