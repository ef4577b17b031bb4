package edge

import (
	"net"
	"net/netip"
	"strings"
)

// owner is the Worker that answers a URL, and by what right.
type owner struct {
	script string
	by     string // route, custom_domain, workers_dev or preview
	rule   string // the pattern or hostname that said so
	tie    *route // a route that Cloudflare's formula ranks the same
}

// resolve says who owns a URL, or why nobody does. authority is the request's host with or without a port.
func (t *table) resolve(https bool, authority, target string) (owner, *edgeError) {
	host, ok := hostname(authority)
	if !ok {
		return owner{}, errBadRequest.with("The request has no valid Host.")
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return owner{}, errDirectIP
	}
	if label, ok := strings.CutSuffix(host, "."+workersDev); ok {
		return t.resolveWorkersDev(host, label)
	}
	z := t.zoneOf(host)
	if z == nil {
		return owner{}, errNoZone.with("No zone of this account contains the hostname.")
	}
	switch z.names.lookup(host) {
	case unknownName:
		return owner{}, errNoRecord.with("Zone " + z.name + " has no A, AAAA or CNAME record for the hostname.")
	case dnsOnly:
		return owner{}, errUnproxied.with("The hostname's DNS record in zone " + z.name + " is DNS only (not proxied), so no Worker can run on it.")
	case proxied:
	}
	return t.resolveProxied(z, https, host, target)
}

// resolveProxied decides between routes and custom domains: a route comes first.
func (t *table) resolveProxied(z *zone, https bool, host, target string) (owner, *edgeError) {
	service, isDomain := t.domains[host]
	m := z.routes.find(https, host, target)
	if m.route != nil && m.route.script != "" {
		return owner{script: m.route.script, by: "route", rule: m.route.text, tie: m.tie}, nil
	}
	if isDomain {
		// A null route only sends the request on to the origin, and here the origin is a Worker.
		return owner{script: service, by: "custom_domain", rule: host}, nil
	}
	if m.route != nil {
		return owner{}, errNoOrigin.with("Null route " + m.route.text + " sends this URL past Workers, and there is no other origin.")
	}
	return owner{}, errNoOrigin.with("No Worker route or custom domain owns this URL, and there is no other origin.")
}

// resolveWorkersDev serves <script>.<subdomain>.workers.dev and <version prefix>-<script>.<subdomain>.workers.dev.
func (t *table) resolveWorkersDev(host, label string) (owner, *edgeError) {
	script, ok := strings.CutSuffix(label, "."+t.subdomain)
	if !ok || t.subdomain == "" {
		return owner{}, errNothingHere
	}
	if s, ok := t.scripts[script]; ok && s.Subdomain {
		return owner{script: script, by: "workers_dev", rule: host}, nil
	}
	version, script, ok := strings.Cut(script, "-")
	if s := t.scripts[script]; ok && s.Previews && s.deploys(version) {
		return owner{script: script, by: "preview", rule: host}, nil
	}
	return owner{}, errNothingHere
}

// deploys says whether prefix is the first eight digits of the one version that serves.
func (s scriptFacts) deploys(prefix string) bool {
	if len(prefix) != 8 || len(s.Deployments) == 0 {
		return false
	}
	versions := s.Deployments[0].Versions
	return len(versions) == 1 && strings.HasPrefix(versions[0].VersionID, prefix)
}

// knows says whether the edge answers for host at all, so that a certificate is issued for it.
func (t *table) knows(host string) bool {
	if label, ok := strings.CutSuffix(host, "."+workersDev); ok {
		_, fail := t.resolveWorkersDev(host, label)
		return fail == nil
	}
	z := t.zoneOf(host)
	return z != nil && z.names.lookup(host) == proxied
}

// hostname is authority in lower case without port and final dot.
func hostname(authority string) (string, bool) {
	host := authority
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host += ":"
	}
	if strings.IndexByte(host, ':') >= 0 {
		name, port, err := net.SplitHostPort(host)
		if err != nil || strings.Trim(port, "0123456789") != "" {
			return "", false
		}
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if strings.Contains(host, ":") {
		return host, true // an IPv6 address, which SplitHostPort took out of its brackets
	}
	return host, validHost(host)
}
