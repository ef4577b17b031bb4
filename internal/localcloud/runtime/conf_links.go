package runtime

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// target designates an entrypoint of another script: inside this process by name, outside it through a stable socket.
func (c *conf) target(script, entry string) string {
	unit := c.world.unitOf(script)
	switch unit {
	case "":
		return quote(c.service(prefix+"missing/"+script, "worker", func() string {
			return helperWorker("missing.js", []string{fields("name", `"SERVICE"`, "text", quote(script))}, nil)
		}))
	case c.spec.name:
		return c.designate(script, entry)
	}
	name := c.service(prefix+"link/"+script+"/"+entry, "external", func() string {
		return external(c.env.paths.endpoint("entry", script, entry))
	})
	return quote(name)
}

func (c *conf) designate(script, entry string) string {
	if entry != "" && entry != "default" {
		return fields("name", quote(script), "entrypoint", quote(entry))
	}
	if len(c.world[script]) > 1 {
		return quote(c.split(script))
	}
	return fields("name", quote(script))
}

// split is the worker that stands before the versions of a script when its deployment has more than one.
func (c *conf) split(script string) string {
	return c.service(prefix+"split/"+script, "worker", func() string {
		versions := slices.SortedStableFunc(slices.Values(c.world[script]), func(a, b Candidate) int { return cmp.Compare(b.Version.Number, a.Version.Number) })
		type share struct {
			ID    string  `json:"id"`
			Share float64 `json:"share"`
		}
		bindings := []string{fields("name", `"SCRIPT"`, "text", quote(script))}
		shares := make([]share, 0, len(versions))
		for _, v := range versions {
			shares = append(shares, share{v.Version.ID, v.share()})
			bindings = append(bindings, fields("name", quote(v.Version.ID), "service", quote(c.world.serviceName(v))))
		}
		raw, _ := json.Marshal(shares) // text and numbers always encode
		return helperWorker("split.js", append(bindings, fields("name", `"VERSIONS"`, "json", quote(string(raw)))), nil)
	})
}

func external(path string) string {
	return fields("address", quote("unix:"+path), "http", linkOptions)
}

// linkOptions are those of both ends of a connection between two processes; without the header https would arrive as http.
var linkOptions = fields("capnpConnectHost", quote(capnpHost), "forwardedProtoHeader", quote("Cogctl-Proto"), "cfBlobHeader", quote("Cogctl-Cf"))

// endpoints gives every entrypoint of ours that a script of another process binds to a socket at its stable path.
func (c *conf) endpoints() {
	wanted := map[string][2]string{}
	for _, name := range sortedKeys(c.world) {
		if c.world.unitOf(name) == c.spec.name {
			continue
		}
		for _, cand := range c.world[name] {
			for _, b := range cand.Version.Bindings {
				if b.Type == "service" && c.world.unitOf(b.Service) == c.spec.name {
					wanted[c.env.paths.endpoint("entry", b.Service, b.Entrypoint)] = [2]string{b.Service, b.Entrypoint}
				}
			}
		}
	}
	for _, path := range sortedKeys(wanted) {
		script, entry := wanted[path][0], wanted[path][1]
		socket := "entry/" + script + "/" + entry
		c.socket(socket, linkOptions, c.designate(script, entry))
		c.links[path] = socket
	}
}

// objects writes the Durable Object classes of a version and where they are stored.
func (c *conf) objects(v store.Version) []string {
	var spaces []string
	for _, class := range v.DOClasses {
		space := []string{"className", quote(class.Name), "uniqueKey", quote(class.UniqueKey)}
		if class.SQLite {
			space = append(space, "enableSql", "true")
		}
		spaces = append(spaces, fields(space...))
	}
	storage := "(inMemory = void)"
	if !c.probe {
		disk := c.service(prefix+"objects", "disk", func() string {
			return fields("path", quote(c.env.paths.objects), "writable", "true")
		})
		storage = fields("localDisk", quote(disk))
	}
	return []string{"durableObjectNamespaces", list(spaces), "durableObjectStorage", storage}
}

// gate lets other processes call the Durable Objects of this one. It is an entrypoint of the dispatcher: each worker costs its memory.
func (c *conf) gate(m Candidate, dispatcher string) {
	c.socket(gateSocket, linkOptions, fields("name", quote(dispatcher), "entrypoint", `"Gate"`))
	c.links[c.env.paths.endpoint("gate", m.Script.Name, "")] = gateSocket
}

// gated are the bindings that the gate needs.
func gated(m Candidate) (bindings []string) {
	for _, class := range m.Version.DOClasses {
		bindings = append(bindings, fields("name", quote(gatePrefix+class.UniqueKey), "durableObjectNamespace",
			fields("className", quote(class.Name), "serviceName", quote(m.Script.Name))))
	}
	return bindings
}

// namespace designates the class behind a Durable Object binding: the script's own, or a stand-in that forwards to its owner.
func (c *conf) namespace(m Candidate, b store.Binding) (string, error) {
	owner, name, err := c.classOf(m, b)
	if err != nil {
		return "", err
	}
	cand := m
	if owner != m.Script.Name {
		var ok bool
		if cand, ok = c.world.primary(owner); !ok {
			return "", fault.New(fault.Invalid, "binding %q: script %q, which has the Durable Object class %q, is not deployed", b.Name, owner, name)
		}
	}
	for _, class := range cand.Version.DOClasses {
		if class.Name != name {
			continue
		}
		if owner == m.Script.Name {
			return fields("className", quote(name)), nil
		}
		return fields("className", `"Remote"`, "serviceName", quote(c.remoteClass(owner, class))), nil
	}
	return "", fault.New(fault.Invalid, "cannot create binding for class %q because it is not currently configured to implement Durable Objects", name).
		WithHint("add a migration that creates the class in script %q", owner)
}

// classOf is the script and class that a binding means; it may name the namespace only.
func (c *conf) classOf(m Candidate, b store.Binding) (script, class string, err error) {
	if b.ClassName != "" {
		if b.ScriptName == "" {
			return m.Script.Name, b.ClassName, nil
		}
		return b.ScriptName, b.ClassName, nil
	}
	var ns store.DONamespace
	err = c.env.store.View(func(tx *store.Tx) error { return tx.Get(store.DOClasses, b.NamespaceID, &ns) })
	if errors.Is(err, fault.NotFound) {
		return "", "", fault.New(fault.Invalid, "binding %q: there is no Durable Object namespace %q", b.Name, b.NamespaceID)
	}
	return ns.Script, ns.Class, err
}

// remoteClass adds the worker whose class forwards to the owner's process; the unique key makes its object ids the owner's.
func (c *conf) remoteClass(owner string, class store.DOClass) string {
	gate := c.service(prefix+"gate/"+owner, "external", func() string {
		return external(c.env.paths.endpoint("gate", owner, ""))
	})
	return c.service(prefix+"objects/"+class.UniqueKey, "worker", func() string {
		space := fields("className", `"Remote"`, "uniqueKey", quote(class.UniqueKey), "enableSql", "true")
		return helperWorker("objects.js", []string{
			fields("name", `"GATE"`, "service", quote(gate)), fields("name", `"KEY"`, "text", quote(gatePrefix+class.UniqueKey)),
		}, []string{"durableObjectNamespaces", "[" + space + "]", "durableObjectStorage", "(inMemory = void)"})
	})
}

// hyperdrive designates the pooler of a database configuration. The worker gets a name and a password that only the pooler knows.
func (c *conf) hyperdrive(b store.Binding) (string, error) {
	var h store.Hyperdrive
	err := c.env.store.View(func(tx *store.Tx) error { return tx.Get(store.Hyperdrives, b.ID, &h) })
	if errors.Is(err, fault.NotFound) {
		return c.noDatabase(b.ID), nil
	}
	if err != nil {
		return "", err
	}
	origin, err := json.Marshal(h)
	if err != nil {
		return "", fault.New(fault.Internal, "encode Hyperdrive configuration %s: %w", h.ID, err)
	}
	pool := poolSpec{
		path: c.env.paths.endpoint("hyperdrive", h.ID, string(origin)), user: "hyperdrive", config: h,
		password: c.env.secret("hyperdrive", h.ID),
	}
	c.pools[pool.path] = pool
	name := c.service(prefix+"hyperdrive/"+h.ID, "external", func() string {
		return fields("address", quote("unix:"+pool.path), "tcp", "()")
	})
	return fields("designator", quote(name), "database", quote(h.Origin.Database), "user", quote(pool.user),
		"password", quote(pool.password), "scheme", `"postgresql"`), nil
}

// noDatabase designates a configuration that was deleted under a script that is bound to it. The API refuses a new binding to it;
// a script that has one serves on without its database, and must not keep any other script from being deployed.
func (c *conf) noDatabase(id string) string {
	name := c.service(prefix+"hyperdrive/"+id, "external", func() string {
		return fields("address", quote("unix:"+c.env.paths.endpoint("hyperdrive", id, "deleted")), "tcp", "()")
	})
	return fields("designator", quote(name), "database", `"deleted"`, "user", `"hyperdrive"`, "password", `""`, "scheme", `"postgresql"`)
}
