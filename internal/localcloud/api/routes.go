package api

import (
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) routeEndpoints() []endpoint {
	return []endpoint{
		{method: "GET", pattern: "/zones/{zone}/workers/routes", permission: reads(groupRoutes), handle: s.listRoutes},
		{method: "POST", pattern: "/zones/{zone}/workers/routes", permission: writes(groupRoutes), handle: s.createRoute},
		{method: "GET", pattern: "/zones/{zone}/workers/routes/{route}", permission: reads(groupRoutes), handle: s.getRoute},
		{method: "PUT", pattern: "/zones/{zone}/workers/routes/{route}", permission: writes(groupRoutes), handle: s.updateRoute},
		{method: "DELETE", pattern: "/zones/{zone}/workers/routes/{route}", permission: writes(groupRoutes), handle: s.deleteRoute},
		{method: "PUT", pattern: "/accounts/{account}/workers/scripts/{script}/routes", permission: writes(groupRoutes), handle: s.replaceScriptRoutes},
	}
}

// routeView has no script key for a null route, as Cloudflare's has not.
type routeView struct {
	ID      string `json:"id"`
	Pattern string `json:"pattern"`
	Script  string `json:"script,omitempty"`
}

func viewRoute(r store.Route) routeView { return routeView{r.ID, r.Pattern, r.Script} }

type routeRequest struct {
	Pattern  string  `json:"pattern"`
	Script   *string `json:"script"`
	ZoneName string  `json:"zone_name"`
	ZoneID   string  `json:"zone_id"`
}

// validatePattern holds a pattern against Cloudflare's rules: a wildcard only leads the host or ends the path, and no query.
func validatePattern(pattern, zone string) error {
	invalid := func(why string) error {
		return bad(10022, "Route pattern %q is invalid: %s", pattern, why)
	}
	rest := pattern
	if scheme, after, ok := strings.Cut(pattern, "://"); ok {
		if scheme != "http" && scheme != "https" {
			return invalid("the scheme must be http or https")
		}
		rest = after
	}
	host, path, _ := strings.Cut(rest, "/")
	if strings.ContainsAny(rest, "?#") {
		return invalid("it must not contain a query string or a fragment")
	}
	if strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return invalid("it must not contain spaces or control characters")
	}
	if at := strings.IndexByte(path, '*'); at >= 0 && at != len(path)-1 {
		return invalid("a wildcard may only be the end of the path")
	}
	return validateHost(strings.ToLower(host), zone, invalid)
}

func validateHost(host, zone string, invalid func(string) error) error {
	bare := strings.TrimPrefix(host, "*")
	if strings.Contains(bare, "*") {
		return invalid("a wildcard may only begin the hostname")
	}
	if strings.ContainsAny(host, ":@%[]\\") {
		return invalid("the hostname must not have a port or credentials")
	}
	inside := bare == zone || strings.HasSuffix(bare, "."+zone)
	if !inside || strings.Contains(strings.TrimPrefix(bare, "."), "..") || strings.HasPrefix(host, ".") {
		return invalid("the hostname must belong to zone " + zone)
	}
	return nil
}

func (s *server) listRoutes(c *call) (any, error) {
	all, err := readAll[store.Route](s, store.Routes, strings.ToLower(c.param("zone"))+"/")
	if err != nil {
		return nil, err
	}
	views := make([]routeView, 0, len(all))
	for _, r := range all {
		views = append(views, viewRoute(r))
	}
	return views, nil
}

func (s *server) createRoute(c *call) (any, error) {
	var req routeRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	return s.saveRoute(c, req, newID())
}

func (s *server) updateRoute(c *call) (any, error) {
	var req routeRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if _, err := s.route(c); err != nil {
		return nil, err
	}
	return s.saveRoute(c, req, strings.ToLower(c.param("route")))
}

func (s *server) saveRoute(c *call, req routeRequest, id string) (any, error) {
	z, err := s.zone(c.param("zone"))
	if err != nil {
		return nil, err
	}
	r := store.Route{ID: id, ZoneID: z.ID, Pattern: req.Pattern}
	set(&r.Script, req.Script)
	err = s.Store.Update(func(tx *store.Tx) error { return putRoute(tx, z, r) })
	return viewRoute(r), err
}

func putRoute(tx *store.Tx, z store.Zone, r store.Route) error {
	if err := validatePattern(r.Pattern, z.Name); err != nil {
		return err
	}
	if r.Script != "" {
		if ok, err := exists[store.Script](tx, store.Scripts, r.Script); err != nil || !ok {
			return orElse(err, bad(10019, "Cannot configure a route for a Worker which does not exist. Please ensure this Worker exists and try again."))
		}
	}
	all, err := mentioning[store.Route](tx, store.Routes, z.ID+"/", r.Pattern)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(o store.Route) bool { return o.ID != r.ID && o.Pattern == r.Pattern }) {
		return fail(409, 10020, "A route with the same pattern already exists.")
	}
	return tx.Put(store.Routes, z.ID+"/"+r.ID, r)
}

func orElse(err error, otherwise *apiError) error {
	if err != nil {
		return err
	}
	return otherwise
}

func routeKey(c *call) string {
	return strings.ToLower(c.param("zone")) + "/" + strings.ToLower(c.param("route"))
}

func (s *server) route(c *call) (store.Route, error) {
	r, err := read[store.Route](s, store.Routes, routeKey(c))
	return r, orMissing(err, missing(10009, "Route not found."))
}

func (s *server) getRoute(c *call) (any, error) {
	r, err := s.route(c)
	return viewRoute(r), err
}

func (s *server) deleteRoute(c *call) (any, error) {
	err := s.Store.Update(func(tx *store.Tx) error {
		return orMissing(tx.Delete(store.Routes, routeKey(c)), missing(10009, "Route not found."))
	})
	return map[string]string{"id": c.param("route")}, err
}

// replaceScriptRoutes makes the given patterns the only routes of the script, over all zones.
func (s *server) replaceScriptRoutes(c *call) (any, error) {
	var wanted []routeRequest
	if err := c.decode(&wanted); err != nil {
		return nil, err
	}
	script := c.param("script")
	defer s.scripts.lock(script)()
	views := []routeView{}
	err := s.Store.Update(func(tx *store.Tx) error {
		kept, err := dropRoutes(tx, script)
		if err != nil {
			return err
		}
		for _, w := range wanted {
			z, err := zoneOf(tx, w)
			if err != nil {
				return err
			}
			id := newID()
			if old, ok := kept[z.ID+" "+w.Pattern]; ok {
				id = old
			}
			r := store.Route{ID: id, ZoneID: z.ID, Pattern: w.Pattern, Script: script}
			if err := putRoute(tx, z, r); err != nil {
				return err
			}
			views = append(views, viewRoute(r))
		}
		return nil
	})
	return views, err
}

// dropRoutes removes the script's routes and says which ids they had, so that a pattern that stays keeps its id.
func dropRoutes(tx *store.Tx, script string) (map[string]string, error) {
	all, err := mentioning[store.Route](tx, store.Routes, "", script)
	if err != nil {
		return nil, err
	}
	dropped := map[string]string{}
	for _, r := range all {
		if r.Script != script {
			continue
		}
		dropped[r.ZoneID+" "+r.Pattern] = r.ID
		if err := tx.Delete(store.Routes, r.ZoneID+"/"+r.ID); err != nil {
			return nil, err
		}
	}
	return dropped, nil
}

// zoneOf is the zone a request names, or the longest zone its pattern's host lies in.
func zoneOf(tx *store.Tx, w routeRequest) (store.Zone, error) {
	all, err := store.All[store.Zone](tx, store.Zones, "")
	if err != nil {
		return store.Zone{}, err
	}
	_, rest, ok := strings.Cut(w.Pattern, "://")
	if !ok {
		rest = w.Pattern
	}
	host, _, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(rest, "*")), "/")
	var best store.Zone
	for _, z := range all {
		named := w.ZoneID != "" && strings.EqualFold(w.ZoneID, z.ID) || w.ZoneName != "" && strings.EqualFold(w.ZoneName, z.Name)
		implied := w.ZoneID == "" && w.ZoneName == "" && (host == z.Name || strings.HasSuffix(host, "."+z.Name))
		if (named || implied) && len(z.Name) > len(best.Name) {
			best = z
		}
	}
	if best.ID == "" {
		return best, bad(10082, "Could not find zone for %q. Make sure the domain is set up to be proxied by Cloudflare.", w.Pattern)
	}
	return best, nil
}
