package edge

import (
	"net/http"
	"regexp"
	"strings"
)

// Prefer is what a request says of the version that should serve it.
type Prefer struct {
	Version string // the id of a version of the deployment; any other is passed over
	Key     string // all requests of one key go to one version
}

const (
	overridesHeader = "Cloudflare-Workers-Version-Overrides"
	affinityHeader  = "Cloudflare-Workers-Version-Key"
)

// member is one of a dictionary (RFC 8941, section 3.2): a key, and a string or what else may stand there. js/split.js reads them alike.
var member = regexp.MustCompile(`^[ \t]*([a-z*][a-z0-9_.*-]*)(?:=(?:"((?:[ !#-\[\]-~]|\\["\\])*)"|[^",; \t]+))?(?:;[^,"]*)?[ \t]*(?:,|$)`)

// preferOf reads the headers of versions for one script. A header that is no dictionary says nothing.
func preferOf(h http.Header, script string) Prefer {
	var p Prefer
	if key := h[affinityHeader]; len(key) > 0 {
		p.Key = key[0]
	}
	lines := h[overridesHeader]
	if len(lines) == 0 {
		return p
	}
	for rest := strings.Join(lines, ", "); rest != ""; {
		m := member.FindStringSubmatch(rest)
		if m == nil {
			return Prefer{Key: p.Key}
		}
		if m[1] == script {
			p.Version = m[2]
		}
		rest = rest[len(m[0]):]
	}
	return p
}
