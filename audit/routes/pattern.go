// Package routes decides which Worker owns every URL of a hostname, from the account's routes, custom domains, DNS, Pages and redirects.
package routes

import (
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Cloudflare's own specificity: a host label is worth more than any path it could be traded for.
const labelWeight = 26

// pattern is a route pattern as a language: hosts that are one name or share a suffix, and texts (path, "?" and query) that
// are one string or share a prefix.
type pattern struct {
	scheme   string // "", "http" or "https"
	host     string // lower case; a suffix when anyHost
	anyHost  bool   // any text may come before host
	path     string // a prefix when anyTail
	anyTail  bool
	score    int
	original string
}

// parsePattern reads what Cloudflare documents: "*" only at the start of the host and at the end of the path, no query.
func parsePattern(text string) (pattern, error) {
	p := pattern{original: text}
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		p.scheme, rest = strings.ToLower(scheme), after
		if p.scheme != "http" && p.scheme != "https" {
			return p, fault.New(fault.Invalid, "route pattern %q: scheme %q is not http or https", text, scheme)
		}
	}
	host, path, _ := strings.Cut(rest, "/")
	host, path = strings.ToLower(host), "/"+path
	p.score = labelWeight*specific(host, ".", 0) + specific(path, "/", -1)
	p.host, p.anyHost = strings.CutPrefix(host, "*")
	p.path, p.anyTail = strings.CutSuffix(path, "*")
	switch {
	case host == "":
		return p, fault.New(fault.Invalid, "route pattern %q has no host", text)
	case strings.Contains(p.host, "*"):
		return p, fault.New(fault.Invalid, "route pattern %q: in a host, * may only come first", text)
	case strings.Contains(p.path, "*"):
		return p, fault.New(fault.Invalid, "route pattern %q: in a path, * may only come last", text)
	case strings.ContainsAny(rest, "?# \t\r\n"):
		return p, fault.New(fault.Invalid, "route pattern %q: a query, a fragment or a space cannot be matched", text)
	}
	return p, nil
}

// specific counts the parts of a text, less 2 when the part at the given end (0 first, -1 last) is a lone "*".
func specific(text, separator string, end int) int {
	parts := strings.Split(text, separator)
	at := end
	if at < 0 {
		at += len(parts)
	}
	if parts[at] == "*" {
		return len(parts) - 2
	}
	return len(parts)
}

// coversHost is true when the pattern can match URLs of that scheme and (lower-case) host.
func (p pattern) coversHost(scheme, host string) bool {
	if p.scheme != "" && p.scheme != scheme {
		return false
	}
	if p.anyHost {
		return strings.HasSuffix(host, p.host)
	}
	return host == p.host
}

// coversText is true when the pattern matches a path with its query: "/a?x=1".
func (p pattern) coversText(text string) bool {
	if p.anyTail {
		return strings.HasPrefix(text, p.path)
	}
	return text == p.path
}
