package api

import (
	"errors"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// workersBeta are the calls that wrangler makes on every deploy beside the documented ones.
func (s *server) workersBeta() []endpoint {
	const services, workers = "/accounts/{account}/workers/services", "/accounts/{account}/workers/workers"
	r, w := reads(groupScripts), writes(groupScripts)
	return []endpoint{
		{method: "GET", pattern: services, permission: r, handle: s.listServices},
		{method: "GET", pattern: services + "/{script}", permission: r, handle: s.getService},
		{method: "DELETE", pattern: services + "/{script}", permission: w, handle: s.deleteScript},
		{method: "GET", pattern: workers, permission: r, handle: s.listWorkers},
		{method: "GET", pattern: workers + "/{script}", permission: r, handle: s.getWorker},
		{method: "PATCH", pattern: workers + "/{script}", permission: w, handle: s.patchWorker},
	}
}

type serviceView struct {
	ID           string               `json:"id"`
	Created      time.Time            `json:"created_on"`
	Modified     time.Time            `json:"modified_on"`
	UsageModel   string               `json:"usage_model"`
	Default      serviceEnvironment   `json:"default_environment"`
	Environments []serviceEnvironment `json:"environments"`
}

// serviceEnvironment carries the migration tag: a client that cannot see it sends every migration again.
type serviceEnvironment struct {
	Environment string     `json:"environment"`
	Created     time.Time  `json:"created_on"`
	Modified    time.Time  `json:"modified_on"`
	Script      scriptView `json:"script"`
}

func viewService(script store.Script, v store.Version) serviceView {
	e := serviceEnvironment{"production", script.Created, script.Modified, viewScript(script, v)}
	return serviceView{script.Name, script.Created, script.Modified, usageModel(v), e, []serviceEnvironment{e}}
}

func (s *server) getService(c *call) (any, error) {
	cur, err := s.current(c.param("script"))
	if err != nil || cur.newest() == nil {
		return nil, orElse(orMissingScript(err), missing(10090, "This service does not exist on your account."))
	}
	return viewService(cur.script, *cur.newest()), nil
}

// orMissingScript drops the scripts' own not-found, for calls that have another number for it.
func orMissingScript(err error) error {
	var e *apiError
	if errors.As(err, &e) && e.Code == 10007 {
		return nil
	}
	return err
}

func (s *server) eachScript(fn func(current) error) error {
	return s.Store.View(func(tx *store.Tx) error {
		scripts, err := store.All[store.Script](tx, store.Scripts, "")
		if err != nil {
			return err
		}
		for _, script := range scripts {
			cur, err := load(tx, script.Name)
			if err != nil {
				return err
			}
			if err := fn(cur); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *server) listServices(*call) (any, error) {
	views := []serviceView{}
	err := s.eachScript(func(cur current) error {
		if v := cur.newest(); v != nil {
			views = append(views, viewService(cur.script, *v))
		}
		return nil
	})
	return views, err
}

type workerView struct {
	ID            string           `json:"id"`
	Name          string           `json:"name"`
	Created       time.Time        `json:"created_on"`
	Updated       time.Time        `json:"updated_on"`
	Logpush       bool             `json:"logpush"`
	Tags          []string         `json:"tags"`
	Observability any              `json:"observability"`
	TailConsumers any              `json:"tail_consumers"`
	Subdomain     workerSubdomain  `json:"subdomain"`
	References    workerReferences `json:"references"`
}

type workerSubdomain struct {
	subdomainView
	URL           string `json:"url,omitempty"`
	PreviewSuffix string `json:"preview_url_suffix,omitempty"`
}

type workerReferences struct {
	Domains  []map[string]string `json:"domains"`
	Queues   []map[string]string `json:"queues"`
	Workers  []map[string]string `json:"workers"`
	Objects  []map[string]string `json:"durable_objects"`
	Dispatch []map[string]string `json:"dispatch_namespace_outbounds"`
}

func (s *server) viewWorker(tx *store.Tx, script store.Script) (workerView, error) {
	view := workerView{ID: script.Tag, Name: script.Name, Created: script.Created, Updated: script.Modified, Logpush: script.Logpush, Tags: orEmpty(script.Tags),
		Observability: script.Observability, TailConsumers: orEmptyJSON(script.TailConsumers), Subdomain: workerSubdomain{subdomainView: viewSubdomain(script)}}
	var sub accountSubdomain
	if err := orNil(tx.Get(store.Settings, subdomainKey, &sub)); err != nil {
		return view, err
	}
	if sub.Subdomain != "" {
		host := script.Name + "." + sub.Subdomain + ".workers.dev"
		view.Subdomain.URL, view.Subdomain.PreviewSuffix = "https://"+host, "-"+host
	}
	var err error
	view.References, err = references(tx, script.Name)
	return view, err
}

func orEmptyJSON(raw []byte) any {
	if len(raw) == 0 {
		return []any{}
	}
	return rawJSON(raw)
}

// rawJSON passes stored JSON through as it is.
type rawJSON []byte

func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// references lists what would break if the script went away.
func references(tx *store.Tx, name string) (workerReferences, error) {
	refs := workerReferences{Domains: []map[string]string{}, Queues: []map[string]string{}, Workers: []map[string]string{}, Objects: []map[string]string{}, Dispatch: []map[string]string{}}
	domains, err := store.All[store.CustomDomain](tx, store.Domains, "")
	if err != nil {
		return refs, err
	}
	for _, d := range domains {
		if d.Service == name {
			refs.Domains = append(refs.Domains, map[string]string{"id": d.ID, "hostname": d.Hostname, "zone_id": d.ZoneID, "zone_name": d.ZoneName, "certificate_id": d.CertID})
		}
	}
	queues, err := store.All[store.Queue](tx, store.Queues, "")
	if err != nil {
		return refs, err
	}
	for _, q := range queues {
		for _, consumer := range q.Consumers {
			if consumer.Script == name {
				refs.Queues = append(refs.Queues, map[string]string{"queue_id": q.ID, "queue_name": q.Name, "queue_consumer_id": consumer.ID})
			}
		}
	}
	user, err := boundTo(tx, name, func(b store.Binding) bool { return dependsOn(b, name) })
	if user != "" {
		refs.Workers = append(refs.Workers, map[string]string{"name": user})
	}
	return refs, err
}

func (s *server) getWorker(c *call) (any, error) {
	var view workerView
	err := s.Store.View(func(tx *store.Tx) error {
		cur, err := loadByNameOrTag(tx, c.param("script"))
		if err != nil {
			return err
		}
		view, err = s.viewWorker(tx, cur.script)
		return err
	})
	return view, err
}

func loadByNameOrTag(tx *store.Tx, name string) (current, error) {
	if isHexID(name) {
		script, err := find(tx, store.Scripts, "", func(sc store.Script) bool { return sc.Tag == name })
		if err == nil {
			name = script.Name
		} else if orNil(err) != nil {
			return current{}, err
		}
	}
	return load(tx, name)
}

func (s *server) listWorkers(c *call) (any, error) {
	var views []workerView
	err := s.Store.View(func(tx *store.Tx) error {
		scripts, err := store.All[store.Script](tx, store.Scripts, "")
		if err != nil {
			return err
		}
		for _, script := range scripts {
			view, err := s.viewWorker(tx, script)
			if err != nil {
				return err
			}
			views = append(views, view)
		}
		return nil
	})
	return paginate(c, views, 10, 100), err
}

func (s *server) patchWorker(c *call) (any, error) {
	var req struct {
		metadata
		Subdomain *struct {
			Enabled  *bool `json:"enabled"`
			Previews *bool `json:"previews_enabled"`
		} `json:"subdomain"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	script, err := s.changeScript(c, func(_ *store.Tx, script *store.Script) error {
		req.applyScript(script)
		if req.Subdomain != nil {
			set(&script.Subdomain, req.Subdomain.Enabled)
			set(&script.Previews, req.Subdomain.Previews)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var view workerView
	err = s.Store.View(func(tx *store.Tx) error { view, err = s.viewWorker(tx, script); return err })
	return view, err
}
