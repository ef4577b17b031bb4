package edge

import "strings"

// canonicalTarget is the path and query that routes are matched on: what the Worker will see in request.url, which the
// WHATWG URL parser cleans of dot segments, backslashes and raw bytes. Matching anything else would let one spelling of
// a URL reach another Worker than its owner. ok is false for a target that is no path or could be read two ways.
func canonicalTarget(raw string) (target string, ok bool) {
	if raw == "" || raw[0] != '/' {
		return "", false
	}
	plain, query := true, len(raw)
	for i := range len(raw) {
		c := raw[i]
		if c <= ' ' || c == 0x7f || c == '#' {
			return "", false
		}
		if c == '?' && i < query {
			query = i
		}
		if i < query && !plainByte(c) {
			plain = false
		}
	}
	if query == len(raw)-1 {
		raw = raw[:query] // an empty query is none, as in URL.search
	}
	if plain && !strings.Contains(raw[:query], "/.") {
		return raw, true
	}
	return canonicalPath(raw[:query]) + raw[query:], true
}

// plainByte says whether a path byte means itself, so that a path of such bytes needs no second look.
func plainByte(c byte) bool {
	switch c {
	case '\\', '%', '"', '<', '>', '`', '{', '}', '^':
		return false
	}
	return c < 0x80
}

// canonicalPath does to a path what the WHATWG URL parser does for http URLs.
func canonicalPath(path string) string {
	segments := strings.Split(strings.ReplaceAll(path, `\`, "/"), "/")
	kept := make([]string, 0, len(segments))
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case isDot(s):
			if last {
				kept = append(kept, "")
			}
		case isDotDot(s):
			if len(kept) > 1 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, encodeSegment(s))
		}
	}
	return strings.Join(kept, "/")
}

func isDot(s string) bool { return s == "." || strings.EqualFold(s, "%2e") }

func isDotDot(s string) bool {
	return len(s) >= 2 && len(s) <= 6 && strings.EqualFold(strings.ReplaceAll(strings.ToLower(s), "%2e", "."), "..")
}

// encodeSegment percent-encodes what the WHATWG path percent-encode set names; what is encoded already stays as it is.
func encodeSegment(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c == '%' || plainByte(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}
