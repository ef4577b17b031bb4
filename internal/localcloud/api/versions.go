package api

import (
	"slices"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) versionEndpoints() []endpoint {
	const one = "/accounts/{account}/workers/scripts/{script}"
	r, w := reads(groupScripts), writes(groupScripts)
	return []endpoint{
		{method: "GET", pattern: one + "/versions", permission: r, handle: s.listVersions},
		{method: "POST", pattern: one + "/versions", permission: w, handle: s.createVersion, limit: scriptBodyLimit},
		{method: "GET", pattern: one + "/versions/{version}", permission: r, handle: s.getVersion},
		{method: "GET", pattern: one + "/deployments", permission: r, handle: s.listDeployments},
		{method: "POST", pattern: one + "/deployments", permission: w, handle: s.createDeployment},
		{method: "GET", pattern: one + "/deployments/{deployment}", permission: r, handle: s.getDeployment},
	}
}

type versionView struct {
	ID          string            `json:"id"`
	Number      int               `json:"number"`
	Metadata    versionMetadata   `json:"metadata"`
	Annotations map[string]string `json:"annotations"`
	Resources   *versionResources `json:"resources,omitempty"`
	StartupMS   *int              `json:"startup_time_ms,omitempty"`
}

type versionMetadata struct {
	Created     time.Time `json:"created_on"`
	Modified    time.Time `json:"modified_on"`
	Source      string    `json:"source"`
	AuthorID    string    `json:"author_id"`
	AuthorEmail string    `json:"author_email"`
	HasPreview  bool      `json:"hasPreview"`
}

type versionResources struct {
	Bindings []map[string]any `json:"bindings"`
	Script   struct {
		ETag             string               `json:"etag"`
		Handlers         []string             `json:"handlers"`
		NamedHandlers    []store.NamedHandler `json:"named_handlers"`
		LastDeployedFrom string               `json:"last_deployed_from"`
	} `json:"script"`
	Runtime struct {
		CompatibilityDate  string   `json:"compatibility_date"`
		CompatibilityFlags []string `json:"compatibility_flags"`
		MigrationTag       string   `json:"migration_tag,omitempty"`
		UsageModel         string   `json:"usage_model"`
	} `json:"script_runtime"`
}

func (s *server) viewVersion(script store.Script, v store.Version) versionView {
	annotations := v.Annotations
	if annotations == nil {
		annotations = map[string]string{}
	}
	return versionView{ID: v.ID, Number: v.Number, Annotations: annotations, Metadata: versionMetadata{
		Created: v.Created, Modified: v.Created, Source: "api", AuthorID: s.AccountID, AuthorEmail: "operator@" + s.AccountName + ".localhost",
		HasPreview: script.Previews,
	}}
}

func (s *server) viewWholeVersion(script store.Script, v store.Version) versionView {
	view := s.viewVersion(script, v)
	r := &versionResources{Bindings: viewBindings(script.Name, v.Bindings)}
	r.Script.ETag, r.Script.Handlers, r.Script.NamedHandlers, r.Script.LastDeployedFrom = v.ETag, orEmpty(v.Handlers), orEmpty(v.NamedHandlers), deployedFrom(script)
	r.Runtime.CompatibilityDate, r.Runtime.CompatibilityFlags = v.CompatibilityDate, orEmpty(v.CompatibilityFlags)
	r.Runtime.MigrationTag, r.Runtime.UsageModel = script.MigrationTag, usageModel(v)
	view.Resources = r
	return view
}

func (s *server) listVersions(c *call) (any, error) {
	cur, err := s.current(c.param("script"))
	if err != nil {
		return nil, err
	}
	views := make([]versionView, 0, len(cur.versions))
	for _, v := range slices.Backward(cur.versions) {
		views = append(views, s.viewVersion(cur.script, v))
	}
	page := paginate(c, views, 10, keptVersions)
	if c.flag("deployable") {
		page = list{views, pageInfo{1, len(views), len(views), len(views), 1}}
	}
	return list{map[string]any{"items": page.items}, page.info}, nil
}

func noVersion() *apiError { return missing(100146, "The requested version was not found.") }

func (s *server) getVersion(c *call) (any, error) {
	cur, err := s.current(c.param("script"))
	if err != nil {
		return nil, err
	}
	v := cur.version(c.param("version"))
	if c.param("version") == "latest" {
		v = cur.newest()
	}
	if v == nil {
		return nil, noVersion()
	}
	return s.viewWholeVersion(cur.script, *v), nil
}

// createVersion uploads a version that does not serve until a deployment names it.
func (s *server) createVersion(c *call) (any, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	u, err := parseUpload(c.r.Header.Get("Content-Type"), body)
	if err != nil {
		return nil, err
	}
	if u.meta.Migrations != nil {
		return nil, bad(10211, "Version upload failed. You attempted to upload a version of a Worker that includes a Durable Object migration, but migrations must be fully applied by running a deploy.")
	}
	defer s.scripts.lock(c.param("script"))()
	s.deploys.Lock()
	defer s.deploys.Unlock()
	d, err := s.draftUpload(c, u, false)
	if err != nil {
		return nil, err
	}
	if err := s.publish(c.r.Context(), d); err != nil {
		return nil, err
	}
	view := s.viewWholeVersion(d.script, d.version)
	view.StartupMS = &d.version.StartupMS
	return view, nil
}
