package cors

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// stranger is an origin that no contract allows.
const stranger = "https://evil.example"

// lookalike makes an origin that one careless way of comparing takes for the one it is made of; empty when it cannot.
type lookalike struct {
	kind string
	make func(u *url.URL) string
}

// kinds are the ways in which origins are compared wrongly, each with what gets through.
var kinds = []lookalike{
	{"suffix", func(u *url.URL) string { return u.Scheme + "://" + u.Host + ".evil.example" }},
	{"prefix", func(u *url.URL) string { return u.Scheme + "://evil-" + u.Host }},
	{"subdomain", func(u *url.URL) string { return u.Scheme + "://evil." + u.Host }},
	{"pattern", func(u *url.URL) string {
		if !strings.Contains(u.Hostname(), ".") {
			return ""
		}
		return u.Scheme + "://" + strings.Replace(u.Host, ".", "x", 1) // a dot that a regular expression reads as any character
	}},
	{"scheme", func(u *url.URL) string {
		return map[string]string{"https": "http", "http": "https"}[u.Scheme] + "://" + u.Host
	}},
	{"port", func(u *url.URL) string { return u.Scheme + "://" + u.Hostname() + ":8" + orText(u.Port(), "443") }},
	{"case", func(u *url.URL) string { return u.Scheme + "://" + strings.ToUpper(u.Host) }},
	{"trailing-dot", func(u *url.URL) string {
		return strings.Replace(u.Scheme+"://"+u.Host, u.Hostname(), u.Hostname()+".", 1)
	}},
	{"trailing-slash", func(u *url.URL) string { return u.Scheme + "://" + u.Host + "/" }},
	{"userinfo", func(u *url.URL) string { return u.Scheme + "://" + u.Host + "@evil.example" }},
	{"idn", homograph},
	{"list", func(u *url.URL) string { return u.Scheme + "://" + u.Host + ", " + stranger }},
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// homograph swaps one Latin letter for a Cyrillic one that looks the same, in the form in which browsers send it.
func homograph(u *url.URL) string {
	for _, pair := range []string{"aа", "oо", "eе", "cс", "pр", "xх"} {
		letters := []rune(pair)
		if host := strings.Replace(u.Hostname(), string(letters[0]), string(letters[1]), 1); host != u.Hostname() {
			ascii, err := idna.Punycode.ToASCII(host)
			if err != nil {
				return ""
			}
			return strings.Replace(u.Scheme+"://"+u.Host, u.Hostname(), ascii, 1)
		}
	}
	return ""
}

// caller is one value of the axis of origins: an allowed one, none at all, or a kind whose value moves on with the path.
type caller struct {
	kind    string
	values  []string
	allowed bool
}

// at is the caller's origin on the i-th path: over all paths, every kind is made of every allowed origin.
func (c caller) at(i int) string { return c.values[i%len(c.values)] }

// callers is the axis of origins, allowed ones first.
func callers(allowed []string) []caller {
	var all []caller
	sorted := slices.Sorted(slices.Values(allowed))
	for _, origin := range sorted {
		all = append(all, caller{"allowed", []string{origin}, true})
	}
	all = append(all, caller{"foreign", []string{stranger}, false}, caller{"null", []string{"null"}, false}, caller{"absent", []string{""}, false})
	for _, k := range kinds {
		if values := k.of(sorted); len(values) > 0 {
			all = append(all, caller{k.kind, values, false})
		}
	}
	return all
}

func (k lookalike) of(allowed []string) (values []string) {
	for _, origin := range allowed {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" {
			continue
		}
		if made := k.make(u); made != "" && made != origin && !slices.Contains(allowed, made) {
			values = append(values, made)
		}
	}
	return values
}
