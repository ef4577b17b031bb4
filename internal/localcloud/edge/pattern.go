package edge

import (
	"strings"

	"golang.org/x/net/idna"

	"github.com/cognomega/edge/internal/fault"
)

// labelWeight is what one hostname label counts against one path segment in Cloudflare's specificity formula.
const labelWeight = 26

// Pattern is a parsed route pattern.
type Pattern struct {
	text        string
	scheme      string // "" matches http and https
	host        string // lower case, without the leading wildcard
	anyPrefix   bool   // the host began with a wildcard
	path        string // without the trailing wildcard
	anySuffix   bool   // the path ended with a wildcard
	specificity int
}

// ParsePattern reads a route pattern by Cloudflare's rules: a wildcard may only begin the host or end the path, and there is no query.
func ParsePattern(text string) (Pattern, error) {
	p := Pattern{text: text}
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		p.scheme, rest = strings.ToLower(scheme), after
		if p.scheme != "http" && p.scheme != "https" {
			return Pattern{}, p.invalid("the scheme must be http or https")
		}
	}
	if strings.ContainsAny(rest, "?#") {
		return Pattern{}, p.invalid("a pattern cannot contain a query string or a fragment")
	}
	if strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return Pattern{}, p.invalid("a pattern cannot contain spaces or control characters")
	}
	host, path := rest, "/"
	if at := strings.IndexByte(rest, '/'); at >= 0 {
		host, path = rest[:at], rest[at:]
	}
	p.specificity = specificity(host, path)
	if err := p.parseHost(host); err != nil {
		return Pattern{}, err
	}
	return p, p.parsePath(path)
}

// specificity is Cloudflare's formula, as its published vectors confirm it. Only a segment that is a wildcard and nothing
// else lowers it, which is why images* beats images/*.
func specificity(host, path string) int {
	labels := strings.Count(host, ".") + 1
	if host == "*" || strings.HasPrefix(host, "*.") {
		labels -= 2
	}
	segments := strings.Count(path, "/") + 1
	if strings.HasSuffix(path, "/*") {
		segments -= 2
	}
	return labelWeight*labels + segments
}

func (p *Pattern) parseHost(host string) error {
	host, p.anyPrefix = strings.CutPrefix(host, "*")
	if host == "" && !p.anyPrefix {
		return p.invalid("the hostname is missing")
	}
	if strings.Contains(host, "*") {
		return p.invalid("a wildcard may only begin the hostname")
	}
	lead := ""
	if p.anyPrefix && strings.HasPrefix(host, ".") {
		lead, host = ".", host[1:]
	}
	if lead != "" && host == "" {
		return p.invalid("the hostname is missing")
	}
	ascii, err := idna.Punycode.ToASCII(strings.ToLower(host))
	if err != nil || (ascii != "" && !validHost(ascii)) {
		return p.invalid("the hostname is not valid")
	}
	p.host = lead + ascii
	return nil
}

func (p *Pattern) parsePath(path string) error {
	path, p.anySuffix = strings.CutSuffix(path, "*")
	if strings.Contains(path, "*") {
		return p.invalid("a wildcard may only end the path")
	}
	p.path = canonicalPath(path)
	return nil
}

func (p *Pattern) invalid(why string) error {
	return fault.New(fault.Invalid, "route pattern %q: %s", p.text, why)
}

// validHost says whether h consists of labels of letters, digits, hyphens and underscores. h is in lower case.
func validHost(h string) bool {
	label := 0
	for i := range len(h) {
		c := h[i]
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return false
		}
	}
	return label > 0 && len(h) <= 253
}
