package edge

import (
	"strings"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// standing is what DNS says of a hostname.
type standing int

const (
	unknownName standing = iota // the name does not resolve
	dnsOnly                     // it resolves past Cloudflare, so no Worker runs
	proxied                     // it resolves to Cloudflare
)

// dnsNames holds the names of a zone that exist, also those that exist only because a longer name does.
type dnsNames map[string]standing

func indexNames(records []store.DNSRecord) dnsNames {
	names := dnsNames{}
	for _, r := range records {
		name := strings.ToLower(r.Name)
		if s := standingOf(r); s > names[name] {
			names[name] = s
		}
		for at := name; at != ""; _, at, _ = strings.Cut(at, ".") {
			if _, ok := names[at]; !ok {
				names[at] = unknownName
			}
		}
	}
	return names
}

func standingOf(r store.DNSRecord) standing {
	switch {
	case r.Type != "A" && r.Type != "AAAA" && r.Type != "CNAME":
		return unknownName
	case r.Proxied:
		return proxied
	default:
		return dnsOnly
	}
}

// lookup resolves host. A wildcard record answers only below the closest name that exists (RFC 4592, section 3.3.1).
func (n dnsNames) lookup(host string) standing {
	if s, ok := n[host]; ok {
		return s
	}
	for at := host; ; {
		_, parent, ok := strings.Cut(at, ".")
		if !ok {
			return unknownName
		}
		if s, ok := n["*."+parent]; ok {
			return s
		}
		if _, ok := n[parent]; ok {
			return unknownName
		}
		at = parent
	}
}
