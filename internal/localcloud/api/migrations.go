package api

import (
	"maps"
	"slices"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// migrations moves a script's Durable Object classes from one tag to the next; the single form is one step without a list.
type migrations struct {
	OldTag string          `json:"old_tag"`
	NewTag string          `json:"new_tag"`
	Steps  []migrationStep `json:"steps"`
	migrationStep
}

type migrationStep struct {
	NewClasses       []string        `json:"new_classes"`
	NewSQLiteClasses []string        `json:"new_sqlite_classes"`
	Renamed          []classRename   `json:"renamed_classes"`
	Deleted          []string        `json:"deleted_classes"`
	Transferred      []classTransfer `json:"transferred_classes"`
}

type classRename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type classTransfer struct {
	From       string `json:"from"`
	FromScript string `json:"from_script"`
	To         string `json:"to"`
}

func (s migrationStep) empty() bool {
	return len(s.NewClasses)+len(s.NewSQLiteClasses)+len(s.Renamed)+len(s.Deleted)+len(s.Transferred) == 0
}

// classPlan is the outcome of a migration: nothing of it is stored before the new version is known to start.
type classPlan struct {
	script  string
	tag     string
	classes []store.DOClass
	added   []string            // classes new in this migration, which the script must export
	removed []store.DOClass     // deleted for good
	taken   map[string][]string // classes taken over, by the script they came from
	oldKV   bool                // KV-backed classes are admitted
}

// plan applies m to the classes a script implements now.
func (m *migrations) plan(tx *store.Tx, script store.Script, classes []store.DOClass, kvClasses bool) (*classPlan, error) {
	p := &classPlan{script: script.Name, tag: script.MigrationTag, classes: slices.Clone(classes), taken: map[string][]string{}, oldKV: kvClasses}
	if m == nil {
		return p, nil
	}
	if m.OldTag != script.MigrationTag {
		return nil, fail(412, 10079, "Actor migration tag precondition failed, got tag '%s' when expected tag is '%s'. Please make sure the tags match and try again.", m.OldTag, script.MigrationTag)
	}
	steps := m.Steps
	if !m.empty() {
		if len(steps) > 0 {
			return nil, invalidScript("migrations must have either steps or the fields of a single step")
		}
		steps = []migrationStep{m.migrationStep}
	}
	if m.NewTag == "" {
		return nil, invalidScript("migrations must have a new_tag")
	}
	p.tag = m.NewTag
	for _, step := range steps {
		if err := p.apply(tx, step); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *classPlan) apply(tx *store.Tx, step migrationStep) error {
	if err := step.oneTarget(); err != nil {
		return err
	}
	if len(step.NewClasses) > 0 && !p.oldKV {
		return bad(10099, "New Durable Object classes with key-value storage are not available on this account. Use new_sqlite_classes for class '%s'.", step.NewClasses[0])
	}
	for _, rename := range step.Renamed {
		at := p.index(rename.From)
		if at < 0 {
			return bad(10074, "Cannot apply renamed-class migration to class '%s': it is not a Durable Object class of this script.", rename.From)
		}
		if p.index(rename.To) >= 0 {
			return alreadyUsed("renamed-class", rename.To)
		}
		p.classes[at].Name = rename.To
	}
	for _, name := range step.Deleted {
		at := p.index(name)
		if at < 0 {
			return bad(10074, "Cannot apply deleted-class migration to class '%s': it is not a Durable Object class of this script.", name)
		}
		p.removed = append(p.removed, p.classes[at])
		p.classes = slices.Delete(p.classes, at, at+1)
		p.added = slices.DeleteFunc(p.added, func(n string) bool { return n == name })
	}
	for _, name := range step.NewClasses {
		if err := p.create(name, false); err != nil {
			return err
		}
	}
	for _, name := range step.NewSQLiteClasses {
		if err := p.create(name, true); err != nil {
			return err
		}
	}
	for _, t := range step.Transferred {
		if err := p.transfer(tx, t); err != nil {
			return err
		}
	}
	return nil
}

// oneTarget refuses a step in which one class is the result of two instructions.
func (s migrationStep) oneTarget() error {
	targets := slices.Concat(s.NewClasses, s.NewSQLiteClasses, s.Deleted)
	for _, r := range s.Renamed {
		targets = append(targets, r.To)
	}
	for _, t := range s.Transferred {
		targets = append(targets, t.To)
	}
	seen := map[string]bool{}
	for _, name := range targets {
		if name == "" {
			return invalidScript("a migration names no class")
		}
		if seen[name] {
			return bad(10074, "Class '%s' cannot be the target of more than one migration.", name)
		}
		seen[name] = true
	}
	return nil
}

func alreadyUsed(kind, class string) *apiError {
	return bad(10074, "Cannot apply %s migration to class '%s' that is already depended on by existing Durable Objects.", kind, class)
}

func (p *classPlan) index(name string) int {
	return slices.IndexFunc(p.classes, func(c store.DOClass) bool { return c.Name == name })
}

func (p *classPlan) create(name string, sqlite bool) error {
	if p.index(name) >= 0 {
		return alreadyUsed("new-class", name)
	}
	p.classes = append(p.classes, store.DOClass{Name: name, SQLite: sqlite, UniqueKey: newID()})
	p.added = append(p.added, name)
	return nil
}

func (p *classPlan) transfer(tx *store.Tx, t classTransfer) error {
	if p.index(t.To) >= 0 {
		return alreadyUsed("transferred-class", t.To)
	}
	n, err := find(tx, store.DOClasses, "", func(n store.DONamespace) bool { return n.Script == t.FromScript && n.Class == t.From })
	if err != nil {
		return orMissing(err, bad(10074, "Cannot apply transferred-class migration: script '%s' has no Durable Object class '%s'.", t.FromScript, t.From))
	}
	p.classes = append(p.classes, store.DOClass{Name: t.To, SQLite: n.UseSQLite, UniqueKey: n.UniqueKey})
	p.taken[t.FromScript] = append(p.taken[t.FromScript], t.From)
	return nil
}

// checkExports holds the classes against what the started version exports.
func (p *classPlan) checkExports(named []store.NamedHandler) error {
	for _, c := range p.classes {
		if slices.ContainsFunc(named, func(h store.NamedHandler) bool { return h.Name == c.Name }) {
			continue
		}
		return p.notExported(c.Name)
	}
	return nil
}

func (p *classPlan) notExported(class string) *apiError {
	if slices.Contains(p.added, class) {
		return bad(10070, "Cannot apply new-class migration to class '%s' that is not exported by script.", class)
	}
	return bad(10064, "New version of script does not export class '%s' which is depended on by existing Durable Objects. If you want to delete the class's Durable Objects, provide a delete-class migration.", class)
}

// save brings the account's namespaces in line with the plan.
func (p *classPlan) save(tx *store.Tx) error {
	for _, c := range p.classes {
		n := store.DONamespace{ID: c.UniqueKey, Name: p.script + "_" + c.Name, Script: p.script, Class: c.Name, UseSQLite: c.SQLite, UniqueKey: c.UniqueKey}
		if err := tx.Put(store.DOClasses, n.ID, n); err != nil {
			return err
		}
	}
	for _, c := range p.removed {
		if err := orNil(tx.Delete(store.DOClasses, c.UniqueKey)); err != nil {
			return err
		}
	}
	return p.takeOver(tx)
}

// takeOver removes transferred classes from every version they came from, so that no second script ever opens their storage.
func (p *classPlan) takeOver(tx *store.Tx) error {
	for _, from := range slices.Sorted(maps.Keys(p.taken)) {
		versions, err := store.All[store.Version](tx, store.Versions, from+"/")
		if err != nil {
			return err
		}
		for _, v := range versions {
			if err := tx.Put(store.Versions, from+"/"+v.ID, without(v, p.taken[from])); err != nil {
				return err
			}
		}
	}
	return nil
}

func without(v store.Version, classes []string) store.Version {
	v.DOClasses = slices.DeleteFunc(v.DOClasses, func(c store.DOClass) bool { return slices.Contains(classes, c.Name) })
	return v
}

// donors are the serving versions of the scripts that classes are taken from, as they will be without them.
func (p *classPlan) donors(tx *store.Tx) ([]Candidate, error) {
	var all []Candidate
	for _, from := range slices.Sorted(maps.Keys(p.taken)) {
		cur, err := load(tx, from)
		if err != nil {
			return nil, err
		}
		if len(cur.script.Deployments) == 0 {
			continue
		}
		for _, share := range cur.script.Deployments[0].Versions {
			if v := cur.version(share.VersionID); v != nil {
				all = append(all, Candidate{cur.script, without(*v, p.taken[from])})
			}
		}
	}
	return all, nil
}

// checkUsers refuses to delete a class that another script is still bound to.
func (p *classPlan) checkUsers(tx *store.Tx) error {
	for _, gone := range p.removed {
		user, err := boundTo(tx, p.script, func(b store.Binding) bool { return b.NamespaceID == gone.UniqueKey })
		if err != nil {
			return err
		}
		if user != "" {
			return bad(10064, "Cannot delete class '%s': script '%s' is bound to it.", gone.Name, user)
		}
	}
	return nil
}

// boundTo is the first script, other than the named one, whose serving versions have a binding that satisfies ok.
func boundTo(tx *store.Tx, except string, ok func(store.Binding) bool) (string, error) {
	scripts, err := store.All[store.Script](tx, store.Scripts, "")
	if err != nil {
		return "", err
	}
	for _, script := range scripts {
		if script.Name == except || len(script.Deployments) == 0 {
			continue
		}
		for _, share := range script.Deployments[0].Versions {
			var v store.Version
			if err := tx.Get(store.Versions, script.Name+"/"+share.VersionID, &v); err != nil {
				return "", err
			}
			if slices.ContainsFunc(v.Bindings, ok) {
				return script.Name, nil
			}
		}
	}
	return "", nil
}
