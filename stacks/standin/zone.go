package standin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/cognomega/edge/internal/fault"
)

type zone struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Status      string   `json:"status"`
	Paused      bool     `json:"paused"`
	NameServers []string `json:"name_servers"`
	Account     struct {
		ID string `json:"id"`
	} `json:"account"`
}

// invoke serves getZone, the one look-up this project makes.
func (s *plugin) invoke(ctx context.Context, r p.InvokeRequest) (p.InvokeResponse, error) {
	if string(r.Token) != getZone {
		_, err := s.lookup(string(r.Token))
		return p.InvokeResponse{}, err
	}
	name, _ := toWire(r.Args.Get("name")).(string)
	query := url.Values{"name": {name}, "page": {"1"}, "per_page": {"50"}}
	if account, _ := toWire(r.Args.Get("accountId")).(string); account != "" {
		query.Set("account.id", account)
	}
	env, err := s.api.call(ctx, http.MethodGet, "/zones?"+query.Encode(), nil)
	if err != nil {
		return p.InvokeResponse{}, err
	}
	var zones []zone
	if err := json.Unmarshal(env.Result, &zones); err != nil {
		return p.InvokeResponse{}, fault.New(fault.Unavailable, "read the list of zones: %w", err)
	}
	if len(zones) != 1 {
		return p.InvokeResponse{}, fault.New(fault.NotFound, "look up zone %q: %d zones of that name", name, len(zones))
	}
	return p.InvokeResponse{Return: zones[0].properties()}, nil
}

func (z zone) properties() property.Map {
	servers := make([]property.Value, 0, len(z.NameServers))
	for _, n := range z.NameServers {
		servers = append(servers, property.New(n))
	}
	return property.NewMap(map[string]property.Value{
		"accountId": property.New(z.Account.ID), "id": property.New(z.ID), "zoneId": property.New(z.ID), "name": property.New(z.Name),
		"status": property.New(z.Status), "paused": property.New(z.Paused), "plan": property.New(""),
		"nameServers": property.New(property.NewArray(servers)), "vanityNameServers": property.New(property.NewArray(nil)),
	})
}
