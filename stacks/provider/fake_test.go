package provider_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	account = "0123456789abcdef0123456789abcdef"
	token   = "abcdefghijklmnopqrstuvwxyzabcdefghijklmn"
)

type object = map[string]any

// cloud is a small account with the parts of the API that the provider uses; it keeps what it is given and answers from that.
type cloud struct {
	mu      sync.Mutex
	scripts map[string]*script
	queues  map[string][]object // consumers by queue id
	buckets map[string][]any    // lifecycle rules by bucket
	serial  int
	writes  []string                                     // "PUT /workers/scripts/a", without the account
	before  func(method, path string) (code, status int) // answers instead of the cloud when code is not 0
	base    string
	hideTag bool // settings leave the migration tag out
}

type script struct {
	metadata object
	modules  map[string]string
	bindings []object
	etag     string
	version  string
	number   int
	split    []object
	tag      string
	classes  map[string]bool // sqlite, by class
	enabled  bool
	previews bool
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{scripts: map[string]*script{}, queues: map[string][]object{"q1": nil}, buckets: map[string][]any{}}
	server := httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(server.Close)
	c.base = server.URL + "/client/v4"
	return c
}

// change edits the account behind the provider's back.
func (c *cloud) change(edit func(c *cloud)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	edit(c)
}

func (c *cloud) takeWrites() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.writes
	c.writes = nil
	return out
}

func (c *cloud) id(kind string) string {
	c.serial++
	return fmt.Sprintf("%s-%04d", kind, c.serial)
}

type refusal struct {
	status, code int
	message      string
}

func refuse(status, code int, format string, args ...any) *refusal {
	return &refusal{status, code, fmt.Sprintf(format, args...)}
}

func (c *cloud) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/client/v4/accounts/"+account)
	if r.Method != http.MethodGet {
		c.writes = append(c.writes, r.Method+" "+path)
	}
	var result any
	var no *refusal
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		no = refuse(403, 10000, "Authentication error")
	case c.before != nil:
		if code, status := c.before(r.Method, path); code != 0 {
			no = refuse(status, code, "planted")
		}
	}
	if no == nil {
		result, no = c.route(r, strings.Split(strings.Trim(path, "/"), "/"))
	}
	answer := object{"success": no == nil, "errors": []object{}, "messages": []object{}, "result": result}
	if no != nil {
		answer["errors"] = []object{{"code": no.code, "message": no.message}}
		w.WriteHeader(no.status)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (c *cloud) route(r *http.Request, part []string) (any, *refusal) {
	at := strings.Join(part[:min(2, len(part))], "/")
	switch {
	case at == "workers/scripts" && len(part) == 2:
		return c.listScripts(), nil
	case at == "workers/scripts":
		return c.script(r, part[2], strings.Join(part[3:], "/"))
	case at == "workers/durable_objects":
		return c.listObjects(r), nil
	case part[0] == "queues" && len(part) >= 3:
		return c.consumers(r, part[1], strings.Join(part[3:], "/"))
	case at == "r2/buckets" && len(part) == 4 && part[3] == "lifecycle":
		return c.lifecycle(r, part[2])
	default:
		return nil, refuse(501, 7000, "%s %s is not part of this cloud", r.Method, r.URL.Path)
	}
}

func (c *cloud) listScripts() []object {
	out := []object{}
	for _, name := range slices.Sorted(maps.Keys(c.scripts)) {
		out = append(out, object{"id": name, "etag": c.scripts[name].etag, "migration_tag": c.scripts[name].tag})
	}
	return out
}

func (c *cloud) listObjects(r *http.Request) []object {
	out := []object{}
	if r.URL.Query().Get("page") != "1" {
		return out
	}
	for name, s := range c.scripts {
		for class, sqlite := range s.classes {
			out = append(out, object{"id": name + "-" + class, "script": name, "class": class, "use_sqlite": sqlite})
		}
	}
	return out
}

func (c *cloud) script(r *http.Request, name, rest string) (any, *refusal) {
	s := c.scripts[name]
	if r.Method == http.MethodPut && rest == "" {
		return c.upload(r, name)
	}
	if s == nil {
		return nil, refuse(404, 10007, "This Worker does not exist on your account.")
	}
	switch {
	case r.Method == http.MethodDelete && rest == "":
		return c.deleteScript(r, name)
	case rest == "settings":
		settings := s.settings()
		if c.hideTag {
			delete(settings, "migration_tag")
		}
		return settings, nil
	case rest == "subdomain" && r.Method == http.MethodPost:
		var in struct {
			Enabled  bool `json:"enabled"`
			Previews bool `json:"previews_enabled"`
		}
		if json.NewDecoder(r.Body).Decode(&in) != nil {
			return nil, refuse(400, 10001, "bad body")
		}
		s.enabled, s.previews = in.Enabled, in.Previews
		fallthrough
	case rest == "subdomain":
		return object{"enabled": s.enabled, "previews_enabled": s.previews}, nil
	case rest == "deployments":
		shares := s.split
		if shares == nil {
			shares = []object{{"version_id": s.version, "percentage": 100}}
		}
		return object{"deployments": []object{{"id": "deployment-of-" + s.version, "versions": shares}}}, nil
	case strings.HasPrefix(rest, "versions/"):
		return object{
			"id": s.version, "number": s.number, "startup_time_ms": 7,
			"resources": object{
				"bindings": s.public(name), "script": object{"etag": s.etag},
				"script_runtime": object{"compatibility_date": s.metadata["compatibility_date"], "compatibility_flags": s.metadata["compatibility_flags"]},
			},
		}, nil
	default:
		return nil, refuse(501, 7000, "%s %s is not part of this cloud", r.Method, r.URL.Path)
	}
}

// public is what reads give out: no secret's text, and the script of its own objects named.
func (s *script) public(name string) []object {
	out := []object{}
	for _, b := range s.bindings {
		b = maps.Clone(b)
		if b["type"] == "secret_text" {
			delete(b, "text")
		}
		if b["type"] == "durable_object_namespace" && b["script_name"] == nil {
			b["script_name"], b["namespace_id"] = name, "ns"
		}
		out = append(out, b)
	}
	return out
}

func (s *script) settings() object {
	out := object{"bindings": s.public(""), "migration_tag": s.tag}
	for _, field := range []string{"compatibility_date", "compatibility_flags", "observability", "logpush", "tail_consumers", "tags", "placement", "limits"} {
		out[field] = s.metadata[field]
	}
	return out
}

func (c *cloud) upload(r *http.Request, name string) (any, *refusal) {
	metadata, modules, no := readUpload(r)
	if no != nil {
		return nil, no
	}
	was := c.scripts[name]
	if was == nil {
		was = &script{classes: map[string]bool{}}
	}
	next := &script{
		metadata: metadata, modules: modules, number: was.number + 1, tag: was.tag, classes: maps.Clone(was.classes),
		enabled: was.enabled, previews: was.previews,
	}
	if no := next.migrate(metadata["migrations"]); no != nil {
		return nil, no
	}
	for _, raw := range list(metadata["bindings"]) {
		b := raw.(object)
		if no := c.checkBinding(name, next, b); no != nil {
			return nil, no
		}
		next.bindings = append(next.bindings, b)
	}
	for _, kept := range list(metadata["keep_bindings"]) {
		for _, b := range was.bindings {
			if b["type"] == kept && !slices.ContainsFunc(next.bindings, func(n object) bool { return n["name"] == b["name"] }) {
				next.bindings = append(next.bindings, b)
			}
		}
	}
	sum := sha256.New()
	for _, module := range slices.Sorted(maps.Keys(modules)) {
		fmt.Fprintf(sum, "%s\x00%s\x00", module, modules[module])
	}
	next.etag, next.version = hex.EncodeToString(sum.Sum(nil)), c.id("version")
	c.scripts[name] = next
	return object{
		"id": name, "etag": next.etag, "startup_time_ms": 7, "migration_tag": next.tag,
		"deployment_id": strings.ReplaceAll(next.version, "-", ""),
	}, nil
}

func readUpload(r *http.Request) (object, map[string]string, *refusal) {
	reader, err := r.MultipartReader()
	if err != nil {
		return nil, nil, refuse(400, 10021, "could not read content for part metadata")
	}
	var metadata object
	modules := map[string]string{}
	for {
		part, err := reader.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, refuse(400, 10021, "%v", err)
		}
		content, _ := io.ReadAll(part)
		if part.FormName() == "metadata" {
			if json.Unmarshal(content, &metadata) != nil {
				return nil, nil, refuse(400, 10021, "could not read content for part metadata")
			}
			continue
		}
		modules[part.FormName()] = string(content)
	}
	main, _ := metadata["main_module"].(string)
	if code, exists := modules[main]; !exists || strings.Contains(code, "throw") {
		return nil, nil, refuse(400, 10021, "Uncaught Error: thrown at start, or no such module %q", main)
	}
	return metadata, modules, nil
}

func (c *cloud) checkBinding(name string, s *script, b object) *refusal {
	switch b["type"] {
	case "service":
		if target := b["service"].(string); c.scripts[target] == nil && target != name {
			return refuse(400, 10144, "Could not resolve service binding '%v'. Target script '%s' not found.", b["name"], target)
		}
	case "durable_object_namespace":
		owner := s
		if other, ok := b["script_name"].(string); ok && other != name {
			owner = c.scripts[other]
		}
		if owner == nil || !contains(owner.classes, b["class_name"].(string)) {
			return refuse(400, 10061, "Cannot create binding for class '%v' because it is not currently configured to implement Durable Objects.", b["class_name"])
		}
	}
	return nil
}

func (s *script) migrate(raw any) *refusal {
	m, ok := raw.(object)
	if !ok {
		return nil
	}
	if old, _ := m["old_tag"].(string); old != s.tag {
		return refuse(412, 10079, "Actor migration tag precondition failed, got tag '%s' when expected tag is '%s'.", old, s.tag)
	}
	for _, raw := range list(m["steps"]) {
		step := raw.(object)
		for kind, sqlite := range map[string]bool{"new_classes": false, "new_sqlite_classes": true} {
			for _, class := range list(step[kind]) {
				if contains(s.classes, class.(string)) {
					return refuse(400, 10074, "class %v exists", class)
				}
				s.classes[class.(string)] = sqlite
			}
		}
		for _, raw := range list(step["renamed_classes"]) {
			from, to := raw.(object)["from"].(string), raw.(object)["to"].(string)
			s.classes[to] = s.classes[from]
			delete(s.classes, from)
		}
		for _, class := range list(step["deleted_classes"]) {
			delete(s.classes, class.(string))
		}
	}
	s.tag = m["new_tag"].(string)
	return nil
}

func (c *cloud) deleteScript(r *http.Request, name string) (any, *refusal) {
	if r.URL.Query().Get("force") != "true" {
		for queue, consumers := range c.queues {
			for _, consumer := range consumers {
				if consumer["script_name"] == name {
					return nil, refuse(400, 10064, "Cannot delete script %s: script still in use as a consumer for queue %s", name, queue)
				}
			}
		}
		for other, s := range c.scripts {
			for _, b := range s.bindings {
				if b["type"] == "service" && b["service"] == name && other != name {
					return nil, refuse(400, 10142, "%s is bound by %s", name, other)
				}
			}
		}
	}
	delete(c.scripts, name)
	return nil, nil
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func contains[V any](m map[string]V, key string) bool {
	_, ok := m[key]
	return ok
}
