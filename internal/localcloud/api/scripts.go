package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) scriptEndpoints() []endpoint {
	const all, one = "/accounts/{account}/workers/scripts", "/accounts/{account}/workers/scripts/{script}"
	return []endpoint{
		{method: "GET", pattern: all, permission: reads(groupScripts), handle: s.listScripts},
		{method: "PUT", pattern: one, permission: writes(groupScripts), handle: s.putScript, limit: scriptBodyLimit},
		{method: "GET", pattern: one, permission: reads(groupScripts), handle: s.getScript},
		{method: "DELETE", pattern: one, permission: writes(groupScripts), handle: s.deleteScript},
		{method: "GET", pattern: one + "/content/v2", permission: reads(groupScripts), handle: s.getContent},
		{method: "PUT", pattern: one + "/content", permission: writes(groupScripts), handle: s.putContent, limit: scriptBodyLimit},
		{method: "GET", pattern: one + "/bindings", permission: reads(groupScripts), handle: s.listBindings},
		{method: "GET", pattern: one + "/bindings/{binding}/content", permission: reads(groupScripts), handle: s.getBindingContent},
	}
}

// scriptView is a script in a list and as the answer to an upload.
type scriptView struct {
	ID                 string               `json:"id"`
	Tag                string               `json:"tag"`
	Tags               []string             `json:"tags"`
	ETag               string               `json:"etag"`
	Handlers           []string             `json:"handlers"`
	NamedHandlers      []store.NamedHandler `json:"named_handlers"`
	Created            time.Time            `json:"created_on"`
	Modified           time.Time            `json:"modified_on"`
	MigrationTag       string               `json:"migration_tag,omitempty"`
	CompatibilityDate  string               `json:"compatibility_date"`
	CompatibilityFlags []string             `json:"compatibility_flags"`
	UsageModel         string               `json:"usage_model"`
	Logpush            bool                 `json:"logpush"`
	TailConsumers      json.RawMessage      `json:"tail_consumers"`
	Observability      json.RawMessage      `json:"observability,omitempty"`
	Placement          json.RawMessage      `json:"placement,omitempty"`
	HasAssets          bool                 `json:"has_assets"`
	HasModules         bool                 `json:"has_modules"`
	LastDeployedFrom   string               `json:"last_deployed_from"`
	DeploymentID       string               `json:"deployment_id"`
	EntryPoint         string               `json:"entry_point,omitempty"`
	StartupMS          *int                 `json:"startup_time_ms,omitempty"`
}

func viewScript(script store.Script, v store.Version) scriptView {
	view := scriptView{
		ID: script.Name, Tag: script.Tag, Tags: orEmpty(script.Tags), ETag: v.ETag, Handlers: orEmpty(v.Handlers), NamedHandlers: orEmpty(v.NamedHandlers),
		Created: script.Created, Modified: script.Modified, MigrationTag: script.MigrationTag,
		CompatibilityDate: v.CompatibilityDate, CompatibilityFlags: orEmpty(v.CompatibilityFlags), UsageModel: usageModel(v),
		Logpush: script.Logpush, TailConsumers: script.TailConsumers, Observability: script.Observability, Placement: v.Placement,
		HasModules: isModule(v), LastDeployedFrom: deployedFrom(script), DeploymentID: strings.ReplaceAll(v.ID, "-", ""),
	}
	return view
}

// deployedFrom is what made the newest deployment; wrangler warns when that was not wrangler.
func deployedFrom(script store.Script) string {
	if len(script.Deployments) == 0 {
		return "api"
	}
	return script.Deployments[0].Source
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func usageModel(v store.Version) string {
	if v.UsageModel == "" {
		return "standard"
	}
	return v.UsageModel
}

func isModule(v store.Version) bool { return v.MainModule != "" }

// entryPoint is the name of the part that runs, which is stored first.
func entryPoint(v store.Version) string {
	if len(v.Modules) == 0 {
		return ""
	}
	return v.Modules[0].Name
}

func (s *server) listScripts(c *call) (any, error) {
	views := []scriptView{}
	err := s.Store.View(func(tx *store.Tx) error {
		scripts, err := store.All[store.Script](tx, store.Scripts, "")
		if err != nil {
			return err
		}
		for _, script := range scripts {
			cur, err := load(tx, script.Name)
			if err != nil {
				return err
			}
			if v := cur.newest(); v != nil && tagged(script, c.query("tags")) {
				views = append(views, viewScript(script, *v))
			}
		}
		return nil
	})
	return views, err
}

// tagged holds a script against a filter such as "team:yes,old:no".
func tagged(script store.Script, filter string) bool {
	if filter == "" {
		return true
	}
	for f := range strings.SplitSeq(filter, ",") {
		tag, want, _ := strings.Cut(f, ":")
		if slices.Contains(script.Tags, tag) != (want != "no") {
			return false
		}
	}
	return true
}

func (s *server) putScript(c *call) (any, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	u, err := parseUpload(c.r.Header.Get("Content-Type"), body)
	if err != nil {
		return nil, err
	}
	defer s.scripts.lock(c.param("script"))()
	s.deploys.Lock()
	defer s.deploys.Unlock()
	d, err := s.draftUpload(c, u, true)
	if err != nil {
		return nil, err
	}
	d.deploy, d.source = true, c.source()
	if err := s.publish(c.r.Context(), d); err != nil {
		return nil, err
	}
	view := viewScript(d.script, d.version)
	view.EntryPoint, view.StartupMS = entryPoint(d.version), &d.version.StartupMS
	return view, nil
}

// draftUpload is the version that an upload asks for.
func (s *server) draftUpload(c *call, u upload, create bool) (*draft, error) {
	date, err := u.meta.compatibility(s.now())
	if err != nil {
		return nil, err
	}
	var d *draft
	err = s.Store.View(func(tx *store.Tx) error {
		if d, err = s.draftFrom(tx, c.param("script"), create); err != nil {
			return err
		}
		in := inheritance{from: d.version.Bindings, of: d.current.version, keep: u.meta.KeepBindings, strict: c.query("bindings_inherit") == "strict"}
		// An upload says everything about a version but what it inherits by name.
		d.version.CompatibilityDate, d.version.CompatibilityFlags = date, nil
		d.version.Placement, d.version.Limits, d.version.UsageModel = nil, nil, ""
		return d.apply(tx, u.meta, in, s.KVClasses)
	})
	if err != nil {
		return nil, err
	}
	d.replaceCode(u)
	return d, nil
}

// putContent replaces the code alone.
func (s *server) putContent(c *call) (any, error) {
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	u, err := parseUpload(c.r.Header.Get("Content-Type"), body)
	if err != nil {
		return nil, err
	}
	view, err := s.revise(c, func(_ *store.Tx, d *draft) error { d.replaceCode(u); return nil })
	return view, err
}

// revise makes and deploys a version that differs from the newest by one change.
func (s *server) revise(c *call, change func(*store.Tx, *draft) error) (scriptView, error) {
	defer s.scripts.lock(c.param("script"))()
	s.deploys.Lock()
	defer s.deploys.Unlock()
	var d *draft
	err := s.Store.View(func(tx *store.Tx) error {
		var err error
		if d, err = s.draftFrom(tx, c.param("script"), false); err != nil {
			return err
		}
		return change(tx, d)
	})
	if err != nil {
		return scriptView{}, err
	}
	d.deploy, d.source = true, c.source()
	if err := s.publish(c.r.Context(), d); err != nil {
		return scriptView{}, err
	}
	return viewScript(d.script, d.version), nil
}

// served is the version a read of the script shows.
func (s *server) served(c *call) (current, store.Version, error) {
	cur, err := s.current(c.param("script"))
	if err != nil {
		return cur, store.Version{}, err
	}
	v := cur.deployed()
	if v == nil {
		v = cur.newest()
	}
	if v == nil {
		return cur, store.Version{}, noScript()
	}
	return cur, *v, nil
}

func (s *server) getScript(c *call) (any, error) {
	_, v, err := s.served(c)
	if err != nil {
		return nil, err
	}
	if !isModule(v) && len(v.Modules) == 1 {
		data, err := s.module(v.Modules[0])
		return raw{http.Header{"Content-Type": {typeServiceWorker}, "Etag": {v.ETag}}, data}, err
	}
	return s.content(v)
}

func (s *server) getContent(c *call) (any, error) {
	_, v, err := s.served(c)
	if err != nil {
		return nil, err
	}
	return s.content(v)
}

// content is a version's modules as multipart, the main module first.
func (s *server) content(v store.Version) (any, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, m := range v.Modules {
		data, err := s.module(m)
		if err != nil {
			return nil, err
		}
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition", fmt.Sprintf("form-data; name=%q; filename=%q", m.Name, m.Name))
		header.Set("Content-Type", m.Type)
		w, err := form.CreatePart(header)
		if err != nil {
			return nil, err
		}
		_, _ = w.Write(data) // a buffer takes everything
	}
	if err := form.Close(); err != nil {
		return nil, err
	}
	return raw{http.Header{"Content-Type": {form.FormDataContentType()}, "Cf-Entrypoint": {entryPoint(v)}, "Etag": {v.ETag}}, body.Bytes()}, nil
}

func (s *server) listBindings(c *call) (any, error) {
	_, v, err := s.served(c)
	return viewBindings(v.Script, v.Bindings), err
}

func (s *server) getBindingContent(c *call) (any, error) {
	_, v, err := s.served(c)
	if err != nil {
		return nil, err
	}
	for _, b := range v.Bindings {
		for _, m := range v.Modules {
			if b.Name == c.param("binding") && b.Part != "" && b.Part == m.Name {
				data, err := s.module(m)
				return raw{http.Header{"Content-Type": {m.Type}}, data}, err
			}
		}
	}
	return nil, missing(10056, "Binding '%s' has no content.", c.param("binding"))
}
