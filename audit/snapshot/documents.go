package snapshot

import (
	"maps"
	"slices"
)

// Documents is what the account holds in the words in which policies judge a plan: a type, a name and properties of each resource.
// What the API never gives back, such as a database's password, is marked as the secret that it is.
func (s *Snapshot) Documents() []map[string]any {
	c := s.Content
	var docs []map[string]any
	add := func(kind, name string, properties map[string]any) {
		docs = append(docs, map[string]any{"__type": kind, "__name": name, "__urn": "live::" + kind + "::" + name, "__properties": properties, "op": "same"})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Workers)) {
		w := c.Workers[name]
		add("cognomega:index:WorkerScript", name, map[string]any{"name": name, "bindings": bindingsOf(w), "workersDev": w.WorkersDev, "previews": w.PreviewURLs})
	}
	for _, pattern := range slices.Sorted(maps.Keys(c.Routes)) {
		properties := map[string]any{"pattern": pattern, "scriptName": c.Routes[pattern].Worker}
		if c.Routes[pattern].Worker == "" {
			properties["scriptName"] = "nobody"
		}
		add("cloudflare:index/workersRoute:WorkersRoute", pattern, properties)
	}
	for _, host := range slices.Sorted(maps.Keys(c.Domains)) {
		add("cloudflare:index/workersDomain:WorkersDomain", host, map[string]any{"hostname": host, "service": c.Domains[host].Worker})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Buckets)) {
		add("cloudflare:index/r2Bucket:R2Bucket", name, map[string]any{"name": name})
		rules := []any{}
		for _, id := range slices.Sorted(maps.Keys(c.Buckets[name].Lifecycle)) {
			rules = append(rules, map[string]any{"id": id, "disabled": !c.Buckets[name].Lifecycle[id].Enabled})
		}
		add("cognomega:index:R2BucketLifecycle", name, map[string]any{"bucketName": name, "rules": rules})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Hyperdrives)) {
		h := c.Hyperdrives[name]
		add("cloudflare:index/hyperdriveConfig:HyperdriveConfig", name, map[string]any{"name": name, "caching": h.Caching, "origin": map[string]any{
			"scheme": h.Origin.Scheme, "host": h.Origin.Host, "database": h.Origin.Database, "user": h.Origin.User, "password": "[secret]",
		}})
	}
	return docs
}

func bindingsOf(w Worker) []any {
	list := []any{}
	for _, name := range slices.Sorted(maps.Keys(w.Bindings)) {
		b := map[string]any{"name": name}
		for key, v := range w.Bindings[name] {
			b[key] = v
		}
		list = append(list, b)
	}
	return list
}
