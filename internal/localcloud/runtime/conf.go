package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// rendered is the configuration of one process, as data: equal digests mean that the running process needs no change.
type rendered struct {
	spec    unitSpec
	text    string
	sockets []string          // socket names; each is an inherited file descriptor
	links   map[string]string // stable path -> socket name
	blobs   []string          // digests of the modules embedded
	scripts map[string]string // service name -> script name, for error messages and logs
	pools   []poolSpec        // database poolers it reaches
}

func (r rendered) digest() string {
	sum := sha256.Sum256([]byte(r.text))
	return hex.EncodeToString(sum[:])
}

// Names of sockets and services of ours; no script can have a colon in its name.
const (
	dispatchSocket = "dispatch"
	gateSocket     = "gate"
	gatePrefix     = "class:" // before a class's unique key; no script can be called so
	prefix         = "cogctl:"
	capnpHost      = "cogctl-capnp" // the CONNECT target that opens a Cap'n Proto session
)

// conf builds one rendered.
type conf struct {
	env      *confEnv
	world    deployed
	spec     unitSpec
	probe    bool // prove only: Durable Objects in memory, nothing listens for others
	services []string
	known    map[string]bool
	sockets  []string
	names    []string
	links    map[string]string
	blobs    map[string]bool
	scripts  map[string]string
	pools    map[string]poolSpec
}

// confEnv is what configurations refer to beside the scripts.
type confEnv struct {
	paths  paths
	store  *store.Store
	secret func(kind, id string) string // a password that is stable while the runtime lives

	outbound bool // what Workers fetch goes through us
}

func render(env *confEnv, world deployed, spec unitSpec, probe bool) (rendered, error) {
	c := &conf{
		env: env, world: world, spec: spec, probe: probe, known: map[string]bool{}, links: map[string]string{},
		blobs: map[string]bool{}, scripts: map[string]string{}, pools: map[string]poolSpec{},
	}
	c.internet()
	for _, m := range spec.members {
		if err := c.member(m); err != nil {
			return rendered{}, err
		}
	}
	dispatcher := c.dispatcher()
	if spec.owner {
		c.gate(spec.members[0], dispatcher)
	}
	c.endpoints()
	return c.finish(), nil
}

func (c *conf) finish() rendered {
	var b strings.Builder
	b.WriteString("using Workerd = import \"/workerd/workerd.capnp\";\n\nconst config :Workerd.Config = (\n")
	b.WriteString("  logging = (structuredLogging = true),\n")
	b.WriteString("  services = " + list(c.services) + ",\n")
	b.WriteString("  sockets = " + list(c.sockets) + ",\n")
	b.WriteString("  extensions = [" + extensionText + "]\n);\n")
	pools := make([]poolSpec, 0, len(c.pools))
	for _, k := range sortedKeys(c.pools) {
		pools = append(pools, c.pools[k])
	}
	return rendered{
		spec: c.spec, text: b.String(), sockets: c.names, links: c.links, scripts: c.scripts,
		blobs: slices.Sorted(maps.Keys(c.blobs)), pools: pools,
	}
}

// service adds a service once and returns its name.
func (c *conf) service(name string, kind string, body func() string) string {
	if !c.known[name] {
		c.known[name] = true
		c.services = append(c.services, fields("name", quote(name), kind, body()))
	}
	return name
}

// socket adds a listener whose descriptor the supervisor passes down.
func (c *conf) socket(name, options, service string) {
	c.names = append(c.names, name)
	c.sockets = append(c.sockets, fields("name", quote(name), "http", options, "service", service))
}

// member adds one version of a script: its worker, and the socket at which requests for it arrive.
func (c *conf) member(m Candidate) error {
	name := c.world.serviceName(m)
	c.scripts[name] = m.Script.Name
	body, err := c.worker(m)
	if err != nil {
		return err
	}
	c.service(name, "worker", func() string { return body })
	c.socket(name, requestOptions, quote(name))
	return nil
}

// protoHeader carries the client's scheme from the edge to a script's socket, and becomes the scheme of request.url.
const protoHeader = "X-Forwarded-Proto"

var requestOptions = fields("forwardedProtoHeader", quote(protoHeader))

// dispatcher adds the worker that delivers queue batches and cron triggers to the primaries of this process, and of an owner of Durable
// Objects the calls of others.
func (c *conf) dispatcher() (name string) {
	var bindings []string
	for _, m := range c.spec.members {
		if name := c.world.serviceName(m); name == m.Script.Name {
			bindings = append(bindings, fields("name", quote(name), "service", quote(name)))
		}
	}
	if c.spec.owner {
		bindings = append(bindings, gated(c.spec.members[0])...)
	}
	name = c.service(prefix+"dispatch", "worker", func() string {
		return helperWorker("dispatch.js", bindings, nil)
	})
	c.socket(dispatchSocket, "()", quote(name))
	return name
}

// helperWorker is a worker of ours, whose source is in js/.
func helperWorker(file string, bindings []string, more []string) string {
	pairs := []string{
		"modules", "[" + fields("name", quote(file), "esModule", `embed "m/`+file+`"`) + "]",
		"compatibilityDate", quote("2026-07-01"),
		"compatibilityFlags", quotedList([]string{"experimental", "service_binding_extra_handlers"}),
		"bindings", list(bindings),
	}
	return fields(append(pairs, more...)...)
}
