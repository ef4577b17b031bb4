package runtime

import (
	"encoding/json"
	"strconv"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// bindings writes a candidate's environment.
func (c *conf) bindings(m Candidate) ([]string, error) {
	out := make([]string, 0, len(m.Version.Bindings))
	for _, b := range m.Version.Bindings {
		kind, value, err := c.binding(m, b)
		if err != nil {
			return nil, err
		}
		out = append(out, fields("name", quote(b.Name), kind, value))
	}
	return out, nil
}

// binding is the capnp field and value for one binding.
func (c *conf) binding(m Candidate, b store.Binding) (kind, value string, err error) {
	switch b.Type {
	case "plain_text", "secret_text":
		return "text", quote(b.Text), nil
	case "json":
		return "json", quote(string(b.JSON)), nil
	case "version_metadata":
		return "json", quote(versionMetadata(m.Version)), nil
	case "kv_namespace":
		return "kvNamespace", quote(c.backend("kv", b.NamespaceID)), nil
	case "r2_bucket":
		return "r2Bucket", quote(c.backend("r2", b.BucketName)), nil
	case "queue":
		return "queue", quote(c.backend("queue", b.QueueName)), nil
	case "analytics_engine":
		return "analyticsEngine", quote(c.backend("analytics", m.Script.Name+"/"+b.Dataset)), nil
	case "ai":
		return "wrapped", wrapped("cloudflare-internal:ai-api", fields("name", `"fetcher"`, "service", quote(c.backend("ai", m.Script.Name)))), nil
	case "ratelimit":
		return c.rateLimit(b)
	case "service":
		return "service", c.target(b.Service, b.Entrypoint), nil
	case "durable_object_namespace":
		designator, err := c.namespace(m, b)
		return "durableObjectNamespace", designator, err
	case "hyperdrive":
		designator, err := c.hyperdrive(b)
		return "hyperdrive", designator, err
	}
	return c.part(m, b)
}

// part is a binding to an uploaded part, or one of a kind that this runtime does not have.
func (c *conf) part(m Candidate, b store.Binding) (kind, value string, err error) {
	kinds := map[string]string{"wasm_module": "wasmModule", "text_blob": "text", "data_blob": "data"}
	kind, ok := kinds[b.Type]
	if !ok {
		return "", "", fault.New(fault.Unsupported, "binding %q has the type %q, which this runtime does not have", b.Name, b.Type)
	}
	for _, mod := range m.Version.Modules {
		if mod.Name == b.Part {
			return kind, c.embed(mod.Digest), nil
		}
	}
	return "", "", fault.New(fault.Invalid, "binding %q names the part %q, which was not uploaded", b.Name, b.Part)
}

func versionMetadata(v store.Version) string {
	b, err := json.Marshal(map[string]string{
		"id": v.ID, "tag": v.Annotations["workers/tag"], "timestamp": v.Created.UTC().Format("2006-01-02T15:04:05.000Z"),
	})
	if err != nil {
		return "null"
	}
	return string(b)
}

func wrapped(module, inner string) string {
	return fields("moduleName", quote(module), "innerBindings", "["+inner+"]")
}

// backend is the service through which workerd reaches one of our stores over HTTP.
func (c *conf) backend(kind, id string) string {
	target := kind + "/" + id
	return c.service(prefix+target, "external", func() string {
		return fields("address", quote("unix:"+c.env.paths.backSocket()), "http", fields(
			"injectRequestHeaders", "["+fields("name", quote(targetHeader), "value", quote(target))+"]"))
	})
}

func (c *conf) rateLimit(b store.Binding) (kind, value string, err error) {
	if b.Simple == nil || b.Simple.Limit <= 0 || (b.Simple.Period != 10 && b.Simple.Period != 60) {
		return "", "", fault.New(fault.Invalid, "rate limit %q needs a limit above 0 and a period of 10 or 60 seconds", b.Name)
	}
	inner := fields("name", `"fetcher"`, "service", quote(c.backend("ratelimit", b.NamespaceID))) + ", " +
		fields("name", `"limit"`, "json", quote(strconv.Itoa(b.Simple.Limit))) + ", " +
		fields("name", `"period"`, "json", quote(strconv.Itoa(b.Simple.Period)))
	return "wrapped", wrapped("cogctl-internal:ratelimit", inner), nil
}

// extensionText declares our binding modules; internal ones cannot be imported by scripts.
var extensionText = fields("modules", "["+fields("name", `"cogctl-internal:ratelimit"`, "internal", "true",
	"esModule", `embed "m/ratelimit.js"`)+"]")
