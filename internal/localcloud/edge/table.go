package edge

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// workersDev is the domain under which every account has its subdomain.
const workersDev = "workers.dev"

// watched are the collections that decide who owns a URL; of those, watchedRoutes decide what the route indexes hold.
var watchedRoutes = []store.Collection{store.Zones, store.Routes}

var watched = []store.Collection{store.Zones, store.DNSRecords, store.Routes, store.Domains, store.Scripts, store.Settings}

// table says who owns a URL. It is immutable, and replaced as a whole when the account changes.
type table struct {
	zones     map[string]*zone  // by name
	domains   map[string]string // custom domain hostname -> script
	scripts   map[string]scriptFacts
	subdomain string   // the account's label under workers.dev
	told      sync.Map // ties already reported: [2]string of route ids
}

type zone struct {
	name   string
	names  dnsNames
	routes *routeIndex
}

// scriptFacts is what the edge needs to know of a script; decoding the rest of the document would cost for nothing.
type scriptFacts struct {
	Name        string `json:"name"`
	Subdomain   bool   `json:"subdomain_enabled"`
	Previews    bool   `json:"previews_enabled"`
	Deployments []struct {
		Versions []store.VersionShare `json:"versions"`
	} `json:"deployments"`
}

// readTable compiles the account's documents. A route that does not parse owns nothing and is reported. Indexes of the
// routes are taken over from old, which is nil when routes have changed: a deploy need not parse 10,000 patterns again.
func readTable(s *store.Store, old *table, log *slog.Logger) (*table, error) {
	t := &table{zones: map[string]*zone{}, domains: map[string]string{}, scripts: map[string]scriptFacts{}}
	err := s.View(func(tx *store.Tx) error {
		return errors.Join(t.readScripts(tx), t.readSubdomain(tx), t.readDomains(tx), t.readZones(tx, old, log))
	})
	return t, err
}

func (t *table) readScripts(tx *store.Tx) error {
	all, err := store.All[scriptFacts](tx, store.Scripts, "")
	for _, s := range all {
		t.scripts[s.Name] = s
	}
	return err
}

// subdomainSetting is the document in which the API keeps the account's workers.dev label.
const subdomainSetting = "workers-subdomain"

func (t *table) readSubdomain(tx *store.Tx) error {
	var doc struct {
		Subdomain string `json:"subdomain"`
	}
	err := tx.Get(store.Settings, subdomainSetting, &doc)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	t.subdomain = doc.Subdomain
	return nil
}

func (t *table) readDomains(tx *store.Tx) error {
	all, err := store.All[store.CustomDomain](tx, store.Domains, "")
	for _, d := range all {
		t.domains[strings.ToLower(d.Hostname)] = d.Service
	}
	return err
}

func (t *table) readZones(tx *store.Tx, old *table, log *slog.Logger) error {
	zones, err := store.All[store.Zone](tx, store.Zones, "")
	if err != nil {
		return err
	}
	for _, z := range zones {
		records, err := store.All[store.DNSRecord](tx, store.DNSRecords, z.ID+"/")
		if err != nil {
			return err
		}
		name := strings.ToLower(z.Name)
		made := &zone{name: name, names: indexNames(records)}
		if old != nil && old.zones[name] != nil {
			made.routes = old.zones[name].routes
		} else if made.routes, err = readRoutes(tx, z, log); err != nil {
			return err
		}
		t.zones[name] = made
	}
	return nil
}

func readRoutes(tx *store.Tx, z store.Zone, log *slog.Logger) (*routeIndex, error) {
	var routes []route
	err := tx.Each(store.Routes, z.ID+"/", func(id string, raw []byte) error {
		var doc store.Route
		if err := json.Unmarshal(raw, &doc); err != nil {
			return fault.New(fault.Internal, "decode route %s: %w", id, err)
		}
		p, err := ParsePattern(doc.Pattern)
		if err != nil {
			log.Warn("route is skipped", "zone", z.Name, "route", doc.ID, "err", err)
			return nil
		}
		routes = append(routes, route{Pattern: p, id: doc.ID, script: doc.Script})
		return nil
	})
	return buildRoutes(routes), err
}

// zoneOf is the zone with the longest name that host lies in.
func (t *table) zoneOf(host string) *zone {
	for name := host; ; {
		if z := t.zones[name]; z != nil {
			return z
		}
		_, parent, ok := strings.Cut(name, ".")
		if !ok {
			return nil
		}
		name = parent
	}
}
