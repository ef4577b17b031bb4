package api

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// bindingKeys are the wire names that store.Binding has fields for; whatever else an upload says goes to Extra.
func bindingKeys() []string {
	return []string{"name", "type", "text", "json", "namespace_id", "bucket_name", "queue_name", "service", "environment",
		"entrypoint", "class_name", "script_name", "id", "dataset", "part", "simple"}
}

// inheritance is how an upload takes bindings over from the version before it.
type inheritance struct {
	from   []store.Binding
	of     func(version string) *store.Version // for what is taken over from a version that is named; nil where none may be
	keep   []string                            // types kept without being named
	strict bool                                // an inherit that finds nothing is an error, not an omission
}

func parseBinding(data json.RawMessage) (store.Binding, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return store.Binding{}, invalidScript("a binding is not an object: %s", err)
	}
	// Only these spellings fill fields: encoding/json would take "TEXT" for "text", and the other copy would be kept as well.
	exact := map[string]json.RawMessage{}
	for _, key := range bindingKeys() {
		if value, ok := fields[key]; ok {
			exact[key] = value
			delete(fields, key)
		}
	}
	known, err := json.Marshal(exact)
	if err != nil {
		return store.Binding{}, err
	}
	var b store.Binding
	if err := json.Unmarshal(known, &b); err != nil {
		return b, invalidScript("binding %s cannot be read: %s", exact["name"], err)
	}
	if b.Name == "" || b.Type == "" {
		return b, invalidScript("a binding needs a name and a type")
	}
	if len(fields) > 0 {
		b.Extra, err = json.Marshal(fields)
	}
	return b, err
}

// bindings reads the list of an upload and completes it from the version before.
func (i inheritance) bindings(given []json.RawMessage) ([]store.Binding, error) {
	var all []store.Binding
	for _, data := range given {
		b, err := parseBinding(data)
		if err != nil {
			return nil, err
		}
		if b.Type == "inherit" {
			old, err := i.inherit(b)
			if err != nil {
				return nil, err
			}
			if old == nil {
				continue
			}
			b = *old
		}
		if slices.ContainsFunc(all, func(o store.Binding) bool { return o.Name == b.Name }) {
			return nil, bad(10053, "Binding name '%s' already in use. Please use a different name and try again.", b.Name)
		}
		all = append(all, b)
	}
	for _, old := range i.from {
		named := slices.ContainsFunc(all, func(b store.Binding) bool { return b.Name == old.Name })
		if !named && slices.Contains(i.keep, old.Type) {
			all = append(all, old)
		}
	}
	return all, nil
}

func (i inheritance) inherit(b store.Binding) (*store.Binding, error) {
	var extra struct {
		OldName string `json:"old_name"`
		Version string `json:"version_id"`
	}
	if b.Extra != nil {
		if err := json.Unmarshal(b.Extra, &extra); err != nil {
			return nil, invalidScript("binding %q cannot be read: %s", b.Name, err)
		}
	}
	old := extra.OldName
	if old == "" {
		old = b.Name
	}
	from := i.from
	if extra.Version != "" && extra.Version != "latest" && i.of != nil {
		v := i.of(extra.Version)
		if v == nil {
			return nil, noVersion()
		}
		from = v.Bindings
	}
	at := slices.IndexFunc(from, func(o store.Binding) bool { return o.Name == old })
	if at >= 0 {
		inherited := from[at]
		inherited.Name = b.Name
		return &inherited, nil
	}
	if i.strict {
		return nil, bad(10057, "Could not inherit binding '%s': the previous version of this Worker has no such binding.", old)
	}
	return nil, nil
}

// checkBindings refuses a binding to a resource the account does not have, and fills in what only the account knows.
func checkBindings(tx *store.Tx, script string, classes []store.DOClass, bindings []store.Binding) error {
	for n := range bindings {
		b := &bindings[n]
		var err error
		switch b.Type {
		case "kv_namespace":
			err = need[store.KVNamespace](tx, store.Namespaces, strings.ToLower(b.NamespaceID), bad(10041, "KV namespace '%s' is not valid.", b.NamespaceID))
		case "r2_bucket":
			err = need[store.Bucket](tx, store.Buckets, b.BucketName, bad(10085, "R2 bucket '%s' not found. Please use a different name and try again.", b.BucketName))
		case "hyperdrive":
			err = need[store.Hyperdrive](tx, store.Hyperdrives, b.ID, bad(10157, "Hyperdrive config '%s' not found.", b.ID))
		case "service":
			if b.Service != script {
				err = need[store.Script](tx, store.Scripts, b.Service, bad(10144, "Could not resolve service binding '%s'. Target script '%s' not found.", b.Name, b.Service))
			}
		case "queue":
			_, err = find(tx, store.Queues, "", func(q store.Queue) bool { return q.Name == b.QueueName })
			err = orMissing(err, bad(11000, "Queue '%s' not found.", b.QueueName))
		case "durable_object_namespace":
			err = checkDOBinding(tx, script, classes, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func need[T any](tx *store.Tx, c store.Collection, id string, refusal *apiError) error {
	if id == "" {
		return refusal
	}
	ok, err := exists[T](tx, c, id)
	if err != nil || ok {
		return err
	}
	return refusal
}

func checkDOBinding(tx *store.Tx, script string, classes []store.DOClass, b *store.Binding) error {
	refusal := bad(10061, "Cannot create binding for class '%s' because it is not currently configured to implement Durable Objects. Did you forget to apply a migration to it?", b.ClassName)
	if b.ClassName == "" {
		n, err := find(tx, store.DOClasses, "", func(n store.DONamespace) bool { return n.ID == b.NamespaceID })
		if err != nil {
			return orMissing(err, bad(10066, "Durable Object namespace '%s' not found.", b.NamespaceID))
		}
		b.ClassName, b.ScriptName = n.Class, n.Script
		refusal.Message = strings.Replace(refusal.Message, "''", "'"+n.Class+"'", 1)
	}
	if b.ScriptName == "" || b.ScriptName == script {
		at := slices.IndexFunc(classes, func(c store.DOClass) bool { return c.Name == b.ClassName })
		if at < 0 {
			return refusal
		}
		b.NamespaceID = classes[at].UniqueKey
		return nil
	}
	n, err := find(tx, store.DOClasses, "", func(n store.DONamespace) bool { return n.Script == b.ScriptName && n.Class == b.ClassName })
	b.NamespaceID = n.ID
	return orMissing(err, refusal)
}

// viewBinding gives a binding back as Cloudflare does: never a secret's value, and always the keys cloudflare-go panics without.
func viewBinding(script string, b store.Binding) map[string]any {
	if isSecret(b) {
		return viewSecretBinding(b)
	}
	view := map[string]any{}
	if b.Extra != nil {
		_ = json.Unmarshal(b.Extra, &view) // parseBinding made it
	}
	b.Extra = nil
	data, _ := json.Marshal(b)
	_ = json.Unmarshal(data, &view)
	switch b.Type {
	case "plain_text":
		view["text"] = b.Text // also when empty
	case "durable_object_namespace":
		if b.ScriptName == "" {
			view["script_name"] = script
		}
	case "service":
		if b.Environment == "" {
			view["environment"] = "production"
		}
	}
	return view
}

// viewSecretBinding names what may be said, so that nothing else ever is.
func viewSecretBinding(b store.Binding) map[string]any {
	view := map[string]any{"name": b.Name, "type": b.Type}
	var extra map[string]any
	if b.Type == "secret_key" && b.Extra != nil {
		_ = json.Unmarshal(b.Extra, &extra) // parseBinding made it
	}
	for _, key := range []string{"algorithm", "format", "usages"} {
		if value, ok := extra[key]; ok {
			view[key] = value
		}
	}
	return view
}

func viewBindings(script string, bindings []store.Binding) []map[string]any {
	views := make([]map[string]any, 0, len(bindings))
	for _, b := range bindings {
		views = append(views, viewBinding(script, b))
	}
	return views
}
