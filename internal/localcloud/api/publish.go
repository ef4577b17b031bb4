package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/google/uuid"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// keptVersions is how many versions of a script stay deployable.
const keptVersions = 100

// current is a script as the store has it before a change.
type current struct {
	script   store.Script
	versions []store.Version // oldest first
	isNew    bool
}

func (cur current) newest() *store.Version {
	if len(cur.versions) == 0 {
		return nil
	}
	return &cur.versions[len(cur.versions)-1]
}

func (cur current) version(id string) *store.Version {
	at := slices.IndexFunc(cur.versions, func(v store.Version) bool { return v.ID == id })
	if at < 0 {
		return nil
	}
	return &cur.versions[at]
}

// deployed is the version that takes the most traffic, and nil before the first deployment.
func (cur current) deployed() *store.Version {
	if len(cur.script.Deployments) == 0 {
		return nil
	}
	best := slices.MaxFunc(cur.script.Deployments[0].Versions, func(a, b store.VersionShare) int { return cmp.Compare(a.Percentage, b.Percentage) })
	return cur.version(best.VersionID)
}

func noScript() *apiError { return missing(10007, "This Worker does not exist on your account.") }

func load(tx *store.Tx, name string) (current, error) {
	var cur current
	if err := tx.Get(store.Scripts, name, &cur.script); err != nil {
		return cur, orMissing(err, noScript())
	}
	var err error
	cur.versions, err = store.All[store.Version](tx, store.Versions, name+"/")
	slices.SortFunc(cur.versions, func(a, b store.Version) int { return cmp.Compare(a.Number, b.Number) })
	return cur, err
}

func (s *server) current(name string) (current, error) {
	var cur current
	err := s.Store.View(func(tx *store.Tx) error {
		var err error
		cur, err = load(tx, name)
		return err
	})
	return cur, err
}

// draft is a version on its way: everything decided, nothing stored.
type draft struct {
	current
	version store.Version
	plan    *classPlan
	donors  []Candidate // scripts that lose a class to this one, and must restart without it
	parts   []part      // bytes to store; none when the modules are those of an earlier version
	deploy  bool
	source  string // api or wrangler
}

var scriptName = regexp.MustCompile(`^[a-z0-9_][a-z0-9_-]{0,62}$`)

// draftFrom is the next version of a script: like the one before it, until the caller changes it.
func (s *server) draftFrom(tx *store.Tx, name string, create bool) (*draft, error) {
	cur, err := load(tx, name)
	var e *apiError
	if errors.As(err, &e) && create {
		if !scriptName.MatchString(name) {
			return nil, bad(10016, "Invalid Worker name. Ensure it only contains lowercase letters (a-z), digits (0-9), underscores (_), and dashes (-).")
		}
		cur = current{isNew: true, script: store.Script{Name: name, Tag: newID(), Created: s.now(), Previews: false}}
		err = nil
	}
	if err != nil {
		return nil, err
	}
	d := &draft{current: cur}
	if before := cur.newest(); before != nil {
		d.version = *before
		d.version.Annotations = nil
	}
	d.version.ID, d.version.Script, d.version.Created = uuid.NewString(), name, s.now()
	d.version.Number = cur.script.LastVersion + 1
	d.script.LastVersion = d.version.Number
	d.script.Modified = s.now()
	d.plan, err = (*migrations)(nil).plan(tx, cur.script, d.version.DOClasses, s.KVClasses)
	return d, err
}

// apply changes the draft as the metadata of an upload or the settings of a patch say.
func (d *draft) apply(tx *store.Tx, m metadata, in inheritance, kvClasses bool) (err error) {
	if d.plan, err = m.Migrations.plan(tx, d.script, d.version.DOClasses, kvClasses); err != nil {
		return err
	}
	d.version.DOClasses = d.plan.classes
	d.script.MigrationTag = d.plan.tag
	if d.donors, err = d.plan.donors(tx); err != nil {
		return err
	}
	bindings, err := in.bindings(m.Bindings)
	if err != nil {
		return err
	}
	if err := checkBindings(tx, d.script.Name, d.plan.classes, bindings); err != nil {
		return err
	}
	if err := d.plan.checkUsers(tx); err != nil {
		return err
	}
	d.version.Bindings = bindings
	d.version.Annotations = m.Annotations
	set(&d.version.CompatibilityFlags, m.CompatibilityFlags)
	set(&d.version.UsageModel, m.UsageModel)
	setJSON(&d.version.Placement, m.Placement)
	setJSON(&d.version.Limits, m.Limits)
	m.applyScript(&d.script)
	return nil
}

// applyScript sets what belongs to the script and not to a version.
func (m metadata) applyScript(script *store.Script) {
	set(&script.Logpush, m.Logpush)
	set(&script.Tags, m.Tags)
	setJSON(&script.TailConsumers, m.TailConsumers)
	setJSON(&script.Observability, m.Observability)
}

// setJSON takes an explicit null as "none".
func setJSON(to *json.RawMessage, from json.RawMessage) {
	if string(from) == "null" {
		*to = nil
	} else if from != nil {
		*to = from
	}
}

// replaceCode gives the draft an upload's modules.
func (d *draft) replaceCode(u upload) {
	d.parts = u.parts
	d.version.MainModule = ""
	if u.parts[0].kind == typeModule {
		d.version.MainModule = u.main // empty marks a service worker, whose script is the first module
	}
	d.version.Modules = nil
	hash := sha256.New()
	for _, p := range u.parts {
		sum := sha256.Sum256(p.data)
		d.version.Modules = append(d.version.Modules, store.Module{Name: p.name, Type: p.kind, Digest: hex.EncodeToString(sum[:]), Size: int64(len(p.data))})
		fmt.Fprintf(hash, "%q %q %x\n", p.name, p.kind, sum)
	}
	d.version.ETag = hex.EncodeToString(hash.Sum(nil))
}

// publish proves that the draft starts, stores it, and lets it serve: in this order, so that a refusal leaves everything as it was.
// The caller holds s.deploys.
func (s *server) publish(ctx context.Context, d *draft) error {
	for i, p := range d.parts {
		digest, _, err := s.Store.PutBlob(bytes.NewReader(p.data))
		if err != nil {
			return err
		}
		d.version.Modules[i].Digest = digest
	}
	if d.deploy {
		d.script.Deployments = slices.Insert(slices.Clone(d.script.Deployments), 0, s.deployment(d.source, d.version.Annotations, store.VersionShare{VersionID: d.version.ID, Percentage: 100}))
	}
	prepared, err := s.Runtime.Prepare(ctx, Change{Put: append(d.donors, Candidate{d.script, d.version})})
	if err != nil {
		return d.notStarting(err)
	}
	d.version.StartupMS = int(prepared.StartupTime().Milliseconds())
	d.version.Handlers, d.version.NamedHandlers = prepared.Exports(d.script.Name)
	err = d.plan.checkExports(d.version.NamedHandlers)
	if err == nil {
		err = s.Store.Update(d.save)
	}
	if err != nil || !d.deploy {
		prepared.Abort()
		return err
	}
	prepared.Commit()
	return nil
}

// notStarting answers a broken bundle in the runtime's own words.
func notStarting(err error) error {
	var e *apiError
	if errors.As(err, &e) || fault.KindOf(err) != fault.Invalid {
		return err
	}
	return invalidScript("%s", err)
}

func (s *server) deployment(source string, annotations map[string]string, shares ...store.VersionShare) store.Deployment {
	return store.Deployment{ID: uuid.NewString(), Source: source, Strategy: "percentage", Created: s.now(), Annotations: annotations, Versions: shares}
}

func (d *draft) save(tx *store.Tx) error {
	d.script.Deployments = d.script.Deployments[:min(len(d.script.Deployments), keptVersions)]
	if err := tx.Put(store.Scripts, d.script.Name, d.script); err != nil {
		return err
	}
	if err := tx.Put(store.Versions, d.script.Name+"/"+d.version.ID, d.version); err != nil {
		return err
	}
	if err := d.plan.save(tx); err != nil {
		return err
	}
	return d.forgetOld(tx)
}

// forgetOld deletes versions beyond the deployable ones, never one that serves.
func (d *draft) forgetOld(tx *store.Tx) error {
	for i := range max(0, len(d.versions)+1-keptVersions) {
		id := d.versions[i].ID
		if len(d.script.Deployments) > 0 && slices.ContainsFunc(d.script.Deployments[0].Versions, func(v store.VersionShare) bool { return v.VersionID == id }) {
			continue
		}
		if err := orNil(tx.Delete(store.Versions, d.script.Name+"/"+id)); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) module(m store.Module) ([]byte, error) {
	r, err := s.Store.OpenBlob(m.Digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
