package contract

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

var pathShape = regexp.MustCompile(`^(/(\.?[A-Za-z0-9][A-Za-z0-9._-]*|:[a-z_]+))+$`)

// checkCORS sees that preflight can promise what the paths need, and never a wildcard.
func checkCORS(c *Contract, rep *report) {
	const file = "http.json"
	cors := c.HTTP.CORS
	for _, list := range []struct {
		key   string
		names []string
	}{{"cors.methods", cors.Methods}, {"cors.allow_headers", cors.AllowHeaders}, {"cors.expose_headers", cors.ExposeHeaders}, {"cors.vary", cors.Vary}, {"forward.headers", c.HTTP.Forward.Headers}, {"forward.address", c.HTTP.Forward.Address}} {
		seen := map[string]bool{}
		for i, name := range list.names {
			if name == "*" || strings.TrimSpace(name) == "" || strings.ContainsAny(name, ", ") {
				rep.addf(file, index(list.key, i), "is %q, want one name; a wildcard allows what nobody chose", name)
			}
			if seen[strings.ToLower(name)] {
				rep.addf(file, index(list.key, i), "%s is listed twice", name)
			}
			seen[strings.ToLower(name)] = true
		}
	}
	if !slices.Contains(cors.Vary, "Origin") {
		rep.addf(file, "cors.vary", "has no Origin: a cache would give one origin's answer to another")
	}
	checkForward(c, rep)
}

// checkForward sees that no credential goes inward, and that where a caller is goes to the paths alone that say so.
func checkForward(c *Contract, rep *report) {
	const file = "http.json"
	forward := c.HTTP.Forward
	for _, list := range []struct {
		key   string
		names []string
	}{{"forward.headers", forward.Headers}, {"forward.address", forward.Address}} {
		for i, name := range list.names {
			same := func(h string) bool { return strings.EqualFold(h, name) }
			if slices.ContainsFunc(identityHeaders(c), same) {
				rep.addf(file, index(list.key, i), "%s carries a credential or an identity, which stops at the gateway", name)
			}
			if list.key == "forward.address" && slices.ContainsFunc(forward.Headers, same) {
				rep.addf(file, index(list.key, i), "%s is among forward.headers: every path would see it", name)
			}
		}
	}
}

func identityHeaders(c *Contract) []string {
	return append([]string{"Authorization", "Cookie", "X-User-Email", "X-Request-Id", "X-Cog-Caller"}, c.Auth.Admin.Headers...)
}

// checkPaths sees that every public path has one owner and one meaning.
func checkPaths(c *Contract, rep *report) {
	const file = "http.json"
	owner := map[string]string{}
	for _, path := range sorted(c.HTTP.Paths) {
		p := c.HTTP.Paths[path]
		at := join("paths", path)
		for i, spelling := range p.All(path) {
			where := at
			if i > 0 {
				where = index(join(at, "aliases"), i-1)
			}
			if !pathShape.MatchString(spelling) {
				rep.addf(file, where, "%q is no path: /literal or /:parameter segments, no slash at the end", spelling)
			}
			if slices.Compare(parameters(spelling), parameters(path)) != 0 {
				rep.addf(file, where, "%q has other parameters than %q", spelling, path)
			}
			if first, taken := owner[shape(spelling)]; taken {
				rep.addf(file, where, "%q already belongs to %q", spelling, first)
			}
			owner[shape(spelling)] = path
		}
		checkPath(c, rep, at, p)
	}
}

func checkPath(c *Contract, rep *report, at string, p Path) {
	const file = "http.json"
	if len(p.Methods) == 0 {
		rep.addf(file, join(at, "methods"), "is empty")
	}
	for i, m := range p.Methods {
		where := index(join(at, "methods"), i)
		if m == http.MethodHead || m == http.MethodOptions {
			rep.addf(file, where, "%s is implied, not listed", m)
		} else if !slices.Contains(c.HTTP.CORS.Methods, m) {
			rep.addf(file, where, "%s is not among cors.methods: no browser could call it", m)
		}
		if slices.Index(p.Methods, m) != i {
			rep.addf(file, where, "%s is listed twice", m)
		}
	}
	for i, m := range p.Sheds {
		if !slices.Contains(p.Methods, m) {
			rep.addf(file, index(join(at, "sheds"), i), "%s is no method of this path", m)
		}
	}
	if p.Errors != "" && p.Errors != ErrorsOpenAI {
		rep.addf(file, join(at, "errors"), "is %q, want %s or nothing", p.Errors, ErrorsOpenAI)
	}
	writes := slices.ContainsFunc(p.Methods, func(m string) bool { return m != http.MethodGet })
	switch {
	case !slices.Contains([]Audited{"", AuditedBefore, AuditedAfter}, p.Audited):
		rep.addf(file, join(at, "audited"), "is %q, want before or after", p.Audited)
	case p.Audited == "" && p.Auth == AccessAdmin && writes:
		rep.addf(file, join(at, "audited"), "is missing: what operators do is kept")
	case p.Audited != "" && (!writes || p.Auth == AccessNone):
		rep.addf(file, join(at, "audited"), "is said of a path that nobody changes anything at with the admin key")
	}
	if !slices.Contains([]Access{AccessNone, AccessOptional, AccessToken, AccessAdmin}, p.Auth) {
		rep.addf(file, join(at, "auth"), "is %q, want none, optional, token or admin", p.Auth)
	}
}

// checkServices sees that every Worker behind the gateway has its time, and none has more than any may.
func checkServices(c *Contract, rep *report) {
	const file = "http.json"
	for _, path := range sorted(c.HTTP.Paths) {
		worker := c.HTTP.Paths[path].Worker
		if _, ok := c.HTTP.Services[worker]; !ok && worker != c.Gateway() {
			rep.addf(file, "services", "has no %s, which answers %s", worker, path)
		}
	}
	for _, name := range sorted(c.HTTP.Services) {
		at := join(join("services", name), "timeout_ms")
		if _, ok := c.Workers[name]; !ok || name == c.Gateway() {
			rep.addf(file, join("services", name), "is no Worker behind the gateway")
		}
		if t := c.HTTP.Services[name].TimeoutMS; t <= 0 || t > c.HTTP.Limits.ServiceTimeoutMS {
			rep.addf(file, at, "is %d, want 1 to limits.service_timeout_ms", t)
		}
	}
}

// checkReach sees that the gateway can reach the Worker of every path.
func checkReach(c *Contract, rep *report) {
	gateway := c.Gateway()
	for _, path := range sorted(c.HTTP.Paths) {
		p, at := c.HTTP.Paths[path], join(join("paths", path), "worker")
		if _, ok := c.Workers[p.Worker]; !ok {
			rep.addf("http.json", at, "names Worker %q, which workers.json does not have", p.Worker)
		} else if _, ok := c.ServiceBinding(gateway, p.Worker); !ok && p.Worker != gateway {
			rep.addf("http.json", at, "names Worker %q, to which workers.json gives %s no service binding", p.Worker, gateway)
		}
	}
}

// ServiceBinding is the name of from's binding to the Worker to.
func (c *Contract) ServiceBinding(from, to string) (name string, ok bool) {
	bindings := c.Workers[from].Bindings
	for _, name := range sorted(bindings) {
		if bindings[name].Service == to {
			return name, true
		}
	}
	return "", false
}

// parameters lists the :names of a path in order.
func parameters(path string) []string {
	var names []string
	for _, segment := range strings.Split(path, "/") {
		if strings.HasPrefix(segment, ":") {
			names = append(names, segment)
		}
	}
	return names
}

// shape is a path with its parameters' names taken out: two paths of one shape match the same requests.
func shape(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if strings.HasPrefix(s, ":") {
			segments[i] = ":"
		}
	}
	return strings.Join(segments, "/")
}
