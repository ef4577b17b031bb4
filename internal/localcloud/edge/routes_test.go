package edge

import (
	"errors"
	"fmt"
	"math/rand/v2"
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

// oracle decides by trying every pattern on the URL, letter by letter, and keeping the best: no index, no shared code.
type oracle []string

func (o oracle) owner(url string) string {
	best, bestScore := "", -1<<30
	for _, p := range o {
		if !o.matches(p, url) {
			continue
		}
		score := o.score(p)
		if score > bestScore || score == bestScore && (len(p) > len(best) || len(p) == len(best) && p < best) {
			best, bestScore = p, score
		}
	}
	return best
}

func (oracle) matches(pattern, url string) bool {
	scheme, urlRest, _ := strings.Cut(url, "://")
	rest := pattern
	if s, after, ok := strings.Cut(pattern, "://"); ok {
		if s != scheme {
			return false
		}
		rest = after
	}
	if !strings.Contains(rest, "/") {
		rest += "/"
	}
	host, path, _ := strings.Cut(rest, "/")
	urlHost, urlPath, _ := strings.Cut(urlRest, "/")
	return glob(host, urlHost) && glob(path, urlPath)
}

// glob is the textbook recursion.
func glob(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return glob(pattern[1:], s) || s != "" && glob(pattern, s[1:])
	default:
		return s != "" && s[0] == pattern[0] && glob(pattern[1:], s[1:])
	}
}

func (oracle) score(pattern string) int {
	if _, after, ok := strings.Cut(pattern, "://"); ok {
		pattern = after
	}
	if !strings.Contains(pattern, "/") {
		pattern += "/"
	}
	parts := strings.Split(pattern, "/")
	labels := strings.Split(parts[0], ".")
	score := 26*len(labels) + len(parts)
	if labels[0] == "*" {
		score -= 2 * 26
	}
	if parts[len(parts)-1] == "*" {
		score -= 2
	}
	return score
}

func TestIndexAgreesWithOracle(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 11))
	for round := range 300 {
		seen := map[string]bool{}
		var patterns oracle
		for range 1 + rng.IntN(25) {
			if p := randomPattern(rng); !seen[p] {
				seen[p] = true
				patterns = append(patterns, p)
			}
		}
		x := index(t, patterns...)
		for range 60 {
			url := randomURL(rng)
			got := ""
			if m := ask(t, x, url); m.route != nil {
				got = m.route.text
			}
			if want := patterns.owner(url); got != want {
				t.Fatalf("round %d: %s goes to %q, want %q, among %q", round, url, got, want, patterns)
			}
		}
	}
}

func pick(rng *rand.Rand, from ...string) string { return from[rng.IntN(len(from))] }

func randomHost(rng *rand.Rand) string {
	host := "x.test"
	for range rng.IntN(3) {
		host = pick(rng, "a", "b", "ab") + pick(rng, ".", ".", "") + host
	}
	return host
}

func randomPath(rng *rand.Rand) string {
	path := ""
	for range rng.IntN(4) {
		path += "/" + pick(rng, "a", "b", "ab", "")
	}
	return path
}

func randomPattern(rng *rand.Rand) string {
	p := pick(rng, "", "", "http://", "https://") + pick(rng, "", "", "*", "*.") + randomHost(rng) + randomPath(rng)
	if strings.Contains(strings.TrimPrefix(strings.TrimPrefix(p, "http://"), "https://"), "/") {
		p += pick(rng, "", "*")
	}
	return p
}

func randomURL(rng *rand.Rand) string {
	path := randomPath(rng)
	if path == "" {
		path = "/"
	}
	return pick(rng, "http://", "https://") + randomHost(rng) + path + pick(rng, "", "", "?a", "?/a")
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

func FuzzParsePattern(f *testing.F) {
	for _, seed := range []string{"example.com/*", "*.example.com/a", "https://*example.com", "*/*", "glöd.se/ö*", "a..b/", "example.com/../x*", "x/%2e%2e/*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePattern(text)
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v is no fault.Invalid", text, err)
			}
			return
		}
		host := strings.TrimPrefix(p.host, ".")
		if p.host != host && !p.anyPrefix || host != "" && !validHost(host) || !strings.HasPrefix(p.path, "/") || strings.ContainsAny(p.path, "?# \\") {
			t.Fatalf("%q parsed to %+v", text, p)
		}
	})
}

// FuzzFind holds the index to a pattern that is derived from the URL itself: it must be found, with its exact text and no other.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"/", "/a/b?x", "/a/../b", `/\..`, "/%2e%2e/x", "/a//b", "/ä"} {
		f.Add("www.example.com", seed, true)
	}
	f.Fuzz(func(t *testing.T, authority, raw string, https bool) {
		host, ok := hostname(authority)
		target, ok2 := canonicalTarget(raw)
		if !ok || !ok2 || strings.Contains(host, ":") {
			return
		}
		if again, ok := canonicalTarget(target); !ok || again != target {
			t.Fatalf("%q is canonical as %q, and that as %q", raw, target, again)
		}
		x := index(t, "decoy.test/*", "*/*")
		if m := x.find(https, host, target); m.route == nil {
			t.Fatalf("%s%s matches nothing", host, target)
		}
		path, _, _ := strings.Cut(target, "?")
		exact, err := ParsePattern(host + path + "*")
		if err != nil {
			return // the path holds a wildcard
		}
		x = buildRoutes([]route{{Pattern: exact, script: "exact"}, {Pattern: mustParse(t, "*/*"), script: "all"}})
		if m := x.find(https, host, target); m.route == nil || m.route.script != "exact" {
			t.Fatalf("%s%s goes to %+v", host, target, m.route)
		}
	})
}
