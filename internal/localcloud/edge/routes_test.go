package edge

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
)

func mustParse(t testing.TB, pattern string) Pattern {
	t.Helper()
	p, err := ParsePattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// index builds an index of patterns, each owned by a script of the pattern's name; "!pattern" is a null route.
func index(t testing.TB, patterns ...string) *routeIndex {
	t.Helper()
	var routes []route
	for _, p := range patterns {
		text, null := strings.CutPrefix(p, "!")
		r := route{Pattern: mustParse(t, text), id: text, script: text}
		if null {
			r.script = ""
		}
		routes = append(routes, r)
	}
	return buildRoutes(routes)
}

// ask looks a whole URL up, canonicalised as a request for it is.
func ask(t testing.TB, x *routeIndex, url string) match {
	t.Helper()
	scheme, rest, _ := strings.Cut(url, "://")
	at := strings.IndexAny(rest, "/?")
	authority, raw := rest, "/"
	if at >= 0 {
		authority, raw = rest[:at], originForm(url)
	}
	host, ok := hostname(authority)
	if !ok {
		t.Fatalf("%s: no hostname", url)
	}
	target, ok := canonicalTarget(raw)
	if !ok {
		t.Fatalf("%s: no target", url)
	}
	return x.find(scheme == "https", host, target)
}

// The vectors are those of Cloudflare's documentation (routing/routes, platform/known-issues) and of miniflare's routing test.
func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	cat := []string{"!*example.com/images/cat.png", "*example.com/images/*"}
	slash := []string{"example.com/images/*", "example.com/images*"}
	tests := []struct {
		patterns []string
		url      string
		want     string // "" is no match, "!" a null route
	}{
		{[]string{"https://*.example.com/images/*"}, "https://www.example.com/images/x", "https://*.example.com/images/*"},
		{[]string{"https://*.example.com/images/*"}, "http://www.example.com/images/x", ""},
		{[]string{"https://*.example.com/images/*"}, "https://example.com/images/x", ""},
		{[]string{"*example.com/*"}, "https://example.com/", "*example.com/*"},
		{[]string{"*example.com/*"}, "https://myexample.com/", "*example.com/*"},
		{[]string{"www.example.com/*", "*.example.com/*"}, "https://www.example.com/", "www.example.com/*"},
		{[]string{"example.com/*", "example.com/hello/*"}, "http://example.com/hello/world", "example.com/hello/*"},
		{[]string{"example.com/hello/*"}, "https://example.com/hello/world?foo=bar", "example.com/hello/*"},
		{[]string{"example.com/Images/*", "example.com/images/*"}, "https://example.com/images/a", "example.com/images/*"},
		{[]string{"example.com/Images/*", "example.com/images/*"}, "https://example.com/Images/a", "example.com/Images/*"},
		{[]string{"Example.com/*"}, "https://example.com/a", "Example.com/*"},
		{[]string{"example.com/a"}, "https://example.com/a?x=1", ""},
		{[]string{"example.com/a*"}, "https://example.com/a?x=1", "example.com/a*"},
		{[]string{"example.com"}, "http://example.com", "example.com"},
		{[]string{"example.com"}, "https://example.com/", "example.com"},
		{[]string{"example.com"}, "https://example.com/a", ""},
		{[]string{"https://*.example.com/"}, "https://www.example.com/", "https://*.example.com/"},
		{[]string{"https://*.example.com/"}, "http://www.example.com/", ""},
		{[]string{"*.example.com/"}, "http://www.example.com/", "*.example.com/"},
		{[]string{"*.example.com/"}, "https://example.com/", ""},
		{[]string{"https://example.com/path*"}, "https://example.com/path", "https://example.com/path*"},
		{[]string{"https://example.com/path*"}, "https://example.com/path2", "https://example.com/path*"},
		{[]string{"https://example.com/path*"}, "https://example.com/path/readme.txt", "https://example.com/path*"},
		{[]string{"https://example.com/path*"}, "https://example.com/notpath", ""},
		{cat, "https://example.com/images/cat.png", "!"},
		{cat, "https://example.com/images/cat.png?foo=bar", "*example.com/images/*"},
		{cat, "https://www.example.com/images/dog.png", "*example.com/images/*"},
		// Known issue: a trailing /* is worth less than a trailing *.
		{slash, "https://example.com/images", "example.com/images*"},
		{slash, "https://example.com/images123", "example.com/images*"},
		{slash, "https://example.com/images/hello", "example.com/images*"},
		// Known issue: a label of the host is worth more than the path.
		{[]string{"*.example.com/a", "a.example.com/*"}, "https://a.example.com/a", "a.example.com/*"},
		{[]string{"http://example.com/*", "https://example.com/*"}, "http://example.com/foo.jpg", "http://example.com/*"},
		{[]string{"http://example.com/*", "https://example.com/*"}, "https://example.com/foo.jpg", "https://example.com/*"},
		{[]string{"example.com/pa*", "example.com/path*"}, "https://example.com/p", ""},
		{[]string{"example.com/pa*", "example.com/path*"}, "https://example.com/pat", "example.com/pa*"},
		{[]string{"example.com/pa*", "example.com/path*"}, "https://example.com/path", "example.com/path*"},
		{[]string{"example.com/*"}, "https://example2com/", ""},
		{[]string{"*glöd.se/*"}, "https://www.xn--gld-tna.se/x", "*glöd.se/*"},
		{[]string{"*.glöd.se/*"}, "https://xn--gld-tna.se/x", ""},
		{[]string{"*/*"}, "https://example.com/", "*/*"},
	}
	for _, tt := range tests {
		m := ask(t, index(t, tt.patterns...), tt.url)
		got := ""
		if m.route != nil {
			got = m.route.script
			if got == "" {
				got = "!"
			}
		}
		if got != tt.want {
			t.Errorf("%v: %s goes to %q, want %q", tt.patterns, tt.url, got, tt.want)
		}
	}
}

func TestSpellingsOfOneURLHaveOneOwner(t *testing.T) {
	t.Parallel()
	x := index(t, "example.com/*", "example.com/admin/*", "example.com/caf%C3%A9", "example.com/a{b}")
	tests := map[string]string{
		"https://example.com/admin/x":                 "example.com/admin/*",
		"https://example.com/public/../admin/x":       "example.com/admin/*",
		"https://example.com/public/%2e%2E/admin/x":   "example.com/admin/*",
		"https://example.com/public/.%2e/admin/x":     "example.com/admin/*",
		`https://example.com/public/..\admin\x`:       "example.com/admin/*",
		"https://example.com/./admin/x":               "example.com/admin/*",
		"https://example.com/../../admin/x":           "example.com/admin/*",
		"https://example.com/admin/../public":         "example.com/*",
		"https://example.com/admin/..":                "example.com/*",
		"https://example.com/admin/.":                 "example.com/admin/*",
		"https://example.com/admin?/../../public":     "example.com/*",
		"https://example.com/public?x=/../admin/x":    "example.com/*",
		"https://example.com/.well-known/../admin/":   "example.com/admin/*",
		"https://example.com//admin/x":                "example.com/*",
		"https://example.com/caf\u00e9":               "example.com/caf%C3%A9",
		"https://example.com/caf\u00e9?":              "example.com/caf%C3%A9",
		"https://example.com/a%7Bb%7D":                "example.com/a{b}",
		"https://EXAMPLE.com:443/admin/x":             "example.com/admin/*",
		"https://example.com./admin/.%00/../..%2f/..": "example.com/admin/*",
	}
	for url, want := range tests {
		if m := ask(t, x, url); m.route == nil || m.route.script != want {
			t.Errorf("%s goes to %+v, want %s", url, m.route, want)
		}
	}
	for _, raw := range []string{"", "*", "x", "/a b", "/a\tb", "/a\x7f", "/a#b", "/a?b c", "http://x/"} {
		if target, ok := canonicalTarget(raw); ok {
			t.Errorf("target %q is taken as %q", raw, target)
		}
	}
}

func TestTies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		patterns []string
		url      string
		won, tie string
	}{
		{[]string{"*example.com/*", "example.com/*"}, "https://example.com/", "*example.com/*", "example.com/*"},
		{[]string{"https://example.com/*", "example.com/*"}, "https://example.com/", "https://example.com/*", "example.com/*"},
		{[]string{"https://example.com/*", "example.com/*"}, "http://example.com/", "example.com/*", ""},
		{[]string{"example.com/*", "example.com/a/*"}, "https://example.com/a/b", "example.com/a/*", ""},
		{[]string{"example.com/b*", "*.com/a", "example.com/*"}, "https://example.com/b", "example.com/b*", ""},
	}
	for _, tt := range tests {
		m := ask(t, index(t, tt.patterns...), tt.url)
		tie := ""
		if m.tie != nil {
			tie = m.tie.text
		}
		if m.route == nil || m.route.text != tt.won || tie != tt.tie {
			t.Errorf("%v on %s: %+v, tie %q", tt.patterns, tt.url, m.route, tie)
		}
	}
}

func TestPatternsCloudflareRefuses(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		"", "/", "/x", "example.com/?foo=*", "example.com/*.jpg", "example.com/a*b*", "example.com/**", "exa*mple.com/", "example.*/", "*.*.example.com/",
		"ftp://example.com/", "://example.com", "example.com:8443/", "user@example.com/", "example.com/#x", "example .com/", "a..b/", ".example.com/", "[::1]/",
		"https://", "example.com*", "*.", "example.com/\n", strings.Repeat("a", 300) + ".com/",
	} {
		_, err := ParsePattern(p)
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestTenThousandRoutes(t *testing.T) {
	t.Parallel()
	x := index(t, manyPatterns(10_000)...)
	for _, n := range []int{0, 1, 4999, 9999} {
		url := fmt.Sprintf("https://h%d.example.com/p%d/deep?x", n%100, n)
		want := fmt.Sprintf("h%d.example.com/p%d/*", n%100, n)
		if m := ask(t, x, url); m.route == nil || m.route.text != want {
			t.Errorf("%s goes to %+v", url, m.route)
		}
	}
	if m := ask(t, x, "https://h1.example.com/p2/x"); m.route != nil {
		t.Errorf("goes to %+v", m.route)
	}
}

func manyPatterns(n int) []string {
	patterns := make([]string, n)
	for i := range patterns {
		patterns[i] = fmt.Sprintf("h%d.example.com/p%d/*", i%100, i)
	}
	return patterns
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := index(b, manyPatterns(n)...)
			b.ReportAllocs()
			for b.Loop() {
				if m := x.find(true, "h9.example.com", "/p9/deep/er?x=1"); m.route == nil {
					b.Fatal("no match")
				}
			}
		})
	}
}
