package standin

import "net/http"

// Type tokens of sdk/v5 that this plugin serves.
const (
	typeKV         = "cloudflare:index/workersKvNamespace:WorkersKvNamespace"
	typeQueue      = "cloudflare:index/queue:Queue"
	typeBucket     = "cloudflare:index/r2Bucket:R2Bucket"
	typeHyperdrive = "cloudflare:index/hyperdriveConfig:HyperdriveConfig"
	typeRoute      = "cloudflare:index/workersRoute:WorkersRoute"
	typeRecord     = "cloudflare:index/record:Record"
	typeCron       = "cloudflare:index/workersCronTrigger:WorkersCronTrigger"
	getZone        = "cloudflare:index/getZone:getZone"
)

// resource maps one Pulumi type to one REST resource, with the habits that the official plugin (v5.49.1) has for it.
type resource struct {
	collection string            // path to POST to; {x} is taken from the properties
	fields     map[string]string // Pulumi property -> wire field
	required   []string
	id         string   // wire field that is the id
	replace    []string // properties that force a replacement
	update     string   // method of an update; empty: the official plugin answers "Not implemented"
	addressBy  string   // property that addresses the resource in update and delete, when that is not the id
	read       readMode
	strict     bool     // any failed read is an error, also "not found"
	reads      []string // properties that a read copies back from the API; all others are not looked at
}

type readMode int

const (
	readByID   readMode = iota // GET collection/id
	readByList                 // page through the collection and look for the id
)

// table says what each type does. Its weaknesses are copied on purpose, so that nothing here converges that would not with the official plugin.
func table() map[string]resource {
	return map[string]resource{
		typeKV: {
			collection: "/accounts/{accountId}/storage/kv/namespaces",
			fields:     map[string]string{"title": "title"},
			required:   []string{"accountId", "title"},
			id:         "id", replace: []string{"accountId"}, update: http.MethodPut,
			read: readByList, // a renamed namespace is not noticed
		},
		typeQueue: {
			collection: "/accounts/{accountId}/workers/queues",
			fields:     map[string]string{"name": "queue_name"},
			required:   []string{"accountId", "name"},
			id:         "queue_id", replace: []string{"accountId"}, update: http.MethodPut,
			addressBy: "name", // so an update under a new name finds nothing
			read:      readByList,
		},
		typeBucket: {
			collection: "/accounts/{accountId}/r2/buckets",
			fields:     map[string]string{"name": "name", "location": "locationHint"},
			required:   []string{"accountId", "name"},
			id:         "name", replace: []string{"accountId", "name", "location"},
			read: readByID, strict: true,
		},
		typeHyperdrive: {
			collection: "/accounts/{accountId}/hyperdrive/configs",
			fields:     map[string]string{"name": "name", "origin": "origin", "caching": "caching"},
			required:   []string{"accountId", "name", "origin"},
			id:         "id", replace: []string{"accountId"}, update: http.MethodPut,
			read: readByID, strict: true, reads: []string{"name", "origin", "caching"},
		},
		typeRoute: {
			collection: "/zones/{zoneId}/workers/routes",
			fields:     map[string]string{"pattern": "pattern", "scriptName": "script"},
			required:   []string{"zoneId", "pattern"},
			id:         "id", replace: []string{"zoneId"}, update: http.MethodPut,
			read: readByList, reads: []string{"pattern", "scriptName"},
		},
		typeRecord: {
			collection: "/zones/{zoneId}/dns_records",
			fields: map[string]string{
				"name": "name", "type": "type", "content": "content", "value": "content",
				"ttl": "ttl", "proxied": "proxied", "comment": "comment", "tags": "tags", "priority": "priority",
			},
			required: []string{"zoneId", "name", "type"},
			id:       "id", replace: []string{"zoneId", "name", "type"}, update: http.MethodPatch,
			read: readByID, reads: []string{"type", "content", "ttl", "proxied", "comment"},
		},
		typeCron: {
			collection: "/accounts/{accountId}/workers/scripts/{scriptName}/schedules",
			fields:     map[string]string{"schedules": "schedules"},
			required:   []string{"accountId", "scriptName", "schedules"},
			replace:    []string{"accountId", "scriptName"},
		},
	}
}

// allows is the bridge's schema check: a property that the type does not have is refused.
func (r resource) allows(property string) bool {
	if _, ok := r.fields[property]; ok {
		return true
	}
	switch property {
	case "__defaults", "accountId", "zoneId", "scriptName", "allowOverwrite":
		return true
	}
	return false
}
