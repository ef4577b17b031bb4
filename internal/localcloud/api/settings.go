package api

import (
	"encoding/json"
	"mime"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) scriptParts() []endpoint {
	const one = "/accounts/{account}/workers/scripts/{script}"
	r, w := reads(groupScripts), writes(groupScripts)
	return []endpoint{
		{method: "GET", pattern: one + "/settings", permission: r, handle: s.getSettings},
		{method: "PATCH", pattern: one + "/settings", permission: w, handle: s.patchSettings},
		{method: "GET", pattern: one + "/script-settings", permission: r, handle: s.getScriptSettings},
		{method: "PATCH", pattern: one + "/script-settings", permission: w, handle: s.patchScriptSettings},
		{method: "GET", pattern: one + "/secrets", permission: r, handle: s.listSecrets},
		{method: "PUT", pattern: one + "/secrets", permission: w, handle: s.putSecret},
		{method: "GET", pattern: one + "/secrets/{secret}", permission: r, handle: s.getSecret},
		{method: "DELETE", pattern: one + "/secrets/{secret}", permission: w, handle: s.deleteSecret},
		{method: "PATCH", pattern: one + "/secrets-bulk", permission: w, handle: s.patchSecrets},
		{method: "GET", pattern: one + "/subdomain", permission: r, handle: s.getScriptSubdomain},
		{method: "POST", pattern: one + "/subdomain", permission: w, handle: s.postScriptSubdomain},
		{method: "DELETE", pattern: one + "/subdomain", permission: w, handle: s.deleteScriptSubdomain},
		{method: "GET", pattern: one + "/schedules", permission: r, handle: s.getSchedules},
		{method: "PUT", pattern: one + "/schedules", permission: w, handle: s.putSchedules},
		{method: "GET", pattern: "/accounts/{account}/workers/subdomain", permission: r, handle: s.getSubdomain},
		{method: "PUT", pattern: "/accounts/{account}/workers/subdomain", permission: w, handle: s.putSubdomain},
	}
}

type settingsView struct {
	Bindings           []map[string]any `json:"bindings"`
	CompatibilityDate  string           `json:"compatibility_date"`
	CompatibilityFlags []string         `json:"compatibility_flags"`
	UsageModel         string           `json:"usage_model"`
	MigrationTag       string           `json:"migration_tag,omitempty"`
	Placement          json.RawMessage  `json:"placement"`
	Limits             json.RawMessage  `json:"limits,omitempty"`
	Annotations        any              `json:"annotations,omitempty"`
	Modified           time.Time        `json:"modified_on"`
	scriptSettings
}

type scriptSettings struct {
	Logpush       bool            `json:"logpush"`
	Tags          []string        `json:"tags"`
	TailConsumers json.RawMessage `json:"tail_consumers"`
	Observability json.RawMessage `json:"observability,omitempty"`
}

func viewScriptSettings(script store.Script) scriptSettings {
	return scriptSettings{script.Logpush, orEmpty(script.Tags), script.TailConsumers, script.Observability}
}

func viewSettings(script store.Script, v store.Version) settingsView {
	view := settingsView{
		Bindings: viewBindings(script.Name, v.Bindings), CompatibilityDate: v.CompatibilityDate, CompatibilityFlags: orEmpty(v.CompatibilityFlags),
		UsageModel: usageModel(v), MigrationTag: script.MigrationTag, Placement: v.Placement, Limits: v.Limits, Modified: script.Modified,
		scriptSettings: viewScriptSettings(script),
	}
	if view.Placement == nil {
		view.Placement = json.RawMessage(`{}`)
	}
	if len(v.Annotations) > 0 {
		view.Annotations = v.Annotations
	}
	return view
}

func (s *server) getSettings(c *call) (any, error) {
	cur, v, err := s.served(c)
	return viewSettings(cur.script, v), err
}

// settingsPart reads the one part of a settings change; Cloudflare takes no plain JSON here.
func settingsPart(c *call) (metadata, error) {
	var m metadata
	kind, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return m, bad(10001, "Content-Type must be one of: multipart/form-data.")
	}
	body, err := c.body()
	if err != nil {
		return m, err
	}
	parts, err := readParts(body, params["boundary"])
	if err != nil {
		return m, err
	}
	for _, p := range parts {
		if p.name == "settings" {
			return m, decodeMetadata(p.data, &m)
		}
	}
	return m, bad(10021, "could not read content for part settings")
}

func (s *server) patchSettings(c *call) (any, error) {
	m, err := settingsPart(c)
	if err != nil {
		return nil, err
	}
	date, err := m.compatibility(s.now())
	if err != nil {
		return nil, err
	}
	_, err = s.revise(c, func(tx *store.Tx, d *draft) error {
		if err := d.canChange(); err != nil {
			return err
		}
		in := inheritance{from: d.version.Bindings, of: d.current.version, keep: m.KeepBindings, strict: true}
		if m.Bindings == nil {
			m.Bindings = inheritAll(d.version.Bindings)
		}
		if m.CompatibilityDate != nil {
			d.version.CompatibilityDate = date
		}
		return d.apply(tx, m, in, s.KVClasses)
	})
	if err != nil {
		return nil, err
	}
	return s.getSettings(c)
}

func inheritAll(bindings []store.Binding) []json.RawMessage {
	all := []json.RawMessage{}
	for _, b := range bindings {
		data, _ := json.Marshal(map[string]string{"type": "inherit", "name": b.Name})
		all = append(all, data)
	}
	return all
}

// canChange refuses to edit settings when what is newest is not what serves: the edit would deploy code nobody deployed.
func (d *draft) canChange() error {
	if !d.servesNewest() {
		return bad(10214, "Settings cannot be changed because the latest version of this Worker is not deployed.")
	}
	return nil
}

func (d *draft) servesNewest() bool {
	newest := d.newest()
	if newest == nil || len(d.script.Deployments) == 0 {
		return false
	}
	shares := d.script.Deployments[0].Versions
	return len(shares) == 1 && shares[0].VersionID == newest.ID
}

func (s *server) getScriptSettings(c *call) (any, error) {
	cur, err := s.current(c.param("script"))
	return viewScriptSettings(cur.script), err
}

func (s *server) patchScriptSettings(c *call) (any, error) {
	var m metadata
	if err := c.decode(&m); err != nil {
		return nil, err
	}
	script, err := s.changeScript(c, func(_ *store.Tx, script *store.Script) error { m.applyScript(script); return nil })
	return viewScriptSettings(script), err
}

// changeScript changes what belongs to the script and to no version; such calls come in parallel, so each waits for the other.
func (s *server) changeScript(c *call, change func(*store.Tx, *store.Script) error) (store.Script, error) {
	name := c.param("script")
	defer s.scripts.lock(name)()
	var script store.Script
	err := s.Store.Update(func(tx *store.Tx) error {
		if err := tx.Get(store.Scripts, name, &script); err != nil {
			return orMissing(err, noScript())
		}
		if err := change(tx, &script); err != nil {
			return err
		}
		return tx.Put(store.Scripts, name, script)
	})
	return script, err
}
