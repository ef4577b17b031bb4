package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// handler answers one call: a result for the envelope, a page, raw bytes, or an error.
type handler func(*call) (any, error)

// endpoint is one method of one path pattern; {name} stands for one escaped path segment.
type endpoint struct {
	method, pattern string
	permission      permission
	handle          handler
	limit           int64 // largest body accepted; 0 is defaultBodyLimit
}

// node is one segment of the path tree. Segments are matched while still escaped, so that %2F in a KV key stays inside its segment.
type node struct {
	literal map[string]*node
	param   *node
	name    string
	methods map[string]endpoint
}

func (n *node) add(e endpoint) {
	for segment := range strings.SplitSeq(strings.TrimPrefix(e.pattern, "/"), "/") {
		n = n.child(segment)
	}
	if n.methods == nil {
		n.methods = map[string]endpoint{}
	}
	n.methods[e.method] = e
}

func (n *node) child(segment string) *node {
	if strings.HasPrefix(segment, "{") {
		if n.param == nil {
			n.param = &node{name: strings.Trim(segment, "{}")}
		}
		return n.param
	}
	if n.literal == nil {
		n.literal = map[string]*node{}
	}
	if n.literal[segment] == nil {
		n.literal[segment] = &node{}
	}
	return n.literal[segment]
}

// find walks the tree; the literal child wins, and the parameter is tried when the literal leads nowhere.
func (n *node) find(segments []string, params map[string]string) *node {
	if len(segments) == 0 {
		if n.methods == nil {
			return nil
		}
		return n
	}
	if next := n.literal[segments[0]]; next != nil {
		if found := next.find(segments[1:], params); found != nil {
			return found
		}
	}
	if n.param == nil || segments[0] == "" {
		return nil
	}
	value, err := url.PathUnescape(segments[0])
	if err != nil {
		return nil
	}
	found := n.param.find(segments[1:], params)
	if found != nil {
		params[n.param.name] = value
	}
	return found
}

// match finds the endpoint for a request, or the API's own error for a path or method it does not know.
func (s *server) match(r *http.Request) (endpoint, map[string]string, error) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), Prefix+"/")
	if !ok {
		return endpoint{}, nil, noRoute(r.URL.Path)
	}
	params := map[string]string{}
	found := s.routes.find(strings.Split(strings.TrimSuffix(path, "/"), "/"), params)
	if found == nil {
		return endpoint{}, nil, unknownPath("/" + path)
	}
	if err := checkIdentifiers("/"+path, params); err != nil {
		return endpoint{}, nil, err
	}
	e, ok := found.methods[r.Method]
	if !ok {
		return endpoint{}, nil, wrongMethod(path, r.Method)
	}
	return e, params, nil
}

// checkIdentifiers refuses object ids that cannot be one, as Cloudflare's front does before any product sees them.
func checkIdentifiers(path string, params map[string]string) error {
	for _, name := range []string{"account", "zone", "namespace", "record", "route"} {
		if id, ok := params[name]; ok && !isHexID(id) {
			return noRoute(path)
		}
	}
	return nil
}

func isHexID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdefABCDEF") == ""
}

// unknownPath separates what Cloudflare has and this cloud does not emulate from what is no path at all.
func unknownPath(path string) error {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	families := []string{"accounts", "zones", "user", "memberships", "graphql", "ips", "organizations", "certificates", "radar", "live"}
	if !slices.Contains(families, first) {
		return noRoute(path)
	}
	if segments := strings.Split(path, "/"); len(segments) > 2 && (first == "accounts" || first == "zones") && !isHexID(segments[2]) {
		return noRoute(path)
	}
	return fail(http.StatusNotImplemented, codeNotEmulated, "%s is not emulated by the local cloud", path)
}

// wrongMethod uses each family's own code.
func wrongMethod(path, method string) error {
	switch {
	case strings.Contains(path, "/workers/"), strings.Contains(path, "/r2/"), strings.Contains(path, "/queues"):
		return fail(http.StatusMethodNotAllowed, 10405, "method not allowed")
	case strings.Contains(path, "/storage/kv"), strings.Contains(path, "/hyperdrive"):
		return fail(http.StatusMethodNotAllowed, 10000, "method not allowed")
	default:
		return fail(http.StatusMethodNotAllowed, 7001, "Method %s not available for that URI.", method)
	}
}
