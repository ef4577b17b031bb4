package routes

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cognomega/edge/internal/cfapi"
)

// The matcher below is Cloudflare's documentation read again, by somebody who has not seen the product's: a wildcard is any
// text, a host's may not leave the host, everything after the host is one text with its query, and of the patterns that match
// the most specific wins. It asks every pattern about one URL; it knows nothing of regions.

// docMatches is the documented meaning of a pattern (routing/routes, "Matching behavior").
func docMatches(pattern, scheme, host, rest string) bool {
	if i := strings.Index(pattern, "://"); i >= 0 {
		if !strings.EqualFold(pattern[:i], scheme) {
			return false
		}
		pattern = pattern[i+3:]
	}
	hostPattern, restPattern := pattern, "/"
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		hostPattern, restPattern = pattern[:i], pattern[i:]
	}
	return docGlob(strings.ToLower(hostPattern), strings.ToLower(host)) && docGlob(restPattern, rest)
}

func docGlob(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case pattern[0] == '*':
		for i := 0; i <= len(text); i++ {
			if docGlob(pattern[1:], text[i:]) {
				return true
			}
		}
		return false
	default:
		return text != "" && pattern[0] == text[0] && docGlob(pattern[1:], text[1:])
	}
}

// docScore is the published formula: 26 for each label of the host, 1 for each segment of the path, and two fewer of either
// when it has a part that is nothing but a wildcard, at the front of the host or at the end of the path.
func docScore(pattern string) int {
	if i := strings.Index(pattern, "://"); i >= 0 {
		pattern = pattern[i+3:]
	}
	labels, segments := 1, 2
	slash := len(pattern)
	for i := range len(pattern) {
		switch {
		case pattern[i] == '/' && slash == len(pattern):
			slash = i
		case pattern[i] == '/':
			segments++
		case pattern[i] == '.' && slash == len(pattern):
			labels++
		}
	}
	if pattern[:slash] == "*" || strings.HasPrefix(pattern, "*.") {
		labels -= 2
	}
	if strings.HasSuffix(pattern, "/*") {
		segments -= 2
	}
	return 26*labels + segments
}

// docAnswer is who answers: a Worker's name, "nobody", or "undecided" where patterns of one specificity disagree.
func docAnswer(all []Route, domain, scheme, host, rest string) string {
	best, answer := -1<<30, ""
	for _, r := range all {
		if !docMatches(r.Pattern, scheme, host, rest) {
			continue
		}
		script := r.Script
		if script == "" {
			script = "nobody"
		}
		switch score := docScore(r.Pattern); {
		case score > best:
			best, answer = score, script
		case score == best && answer != script:
			answer = "undecided"
		}
	}
	switch {
	case answer == "nobody" && domain != "":
		return "undecided" // nothing documents whether a null route keeps a custom domain from answering
	case answer != "":
		return answer
	case domain != "":
		return domain
	default:
		return "nobody"
	}
}

// TestTheIndependentMatcherKnowsThePublishedExamples holds the oracle itself to what Cloudflare publishes, with its oddities.
func TestTheIndependentMatcherKnowsThePublishedExamples(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ patterns, url, want string }{
		{"*.example.com/a a.example.com/*", "https://a.example.com/a", "1"},
		{"example.com/images* example.com/images/*", "https://example.com/images/hello", "0"},
		{"example.com/images* example.com/images/*", "https://example.com/images123", "0"},
		{"example.com/images* example.com/images/*", "https://example.com/images", "0"},
		{"example.com/* example.com/hello/*", "https://example.com/hello/x", "1"},
		{"*.example.com/* *.example.com/images/*", "https://www.example.com/images/cat.gif", "1"},
		{"*.example.com/images/* www.example.com/*", "https://www.example.com/images/cat.gif", "1"},
		{"example.com/hello", "https://example.com/hello", "0"},
		{"example.com/hello", "https://example.com/hello?x=1", "nobody"},
		{"example.com/hello*", "https://example.com/hello?x=1", "0"},
		{"*example.com/", "https://myexample.com/", "0"},
		{"*.example.com/", "https://example.com/", "nobody"},
		{"example.com", "https://example.com/", "0"},
		{"http://example.com/*", "https://example.com/", "nobody"},
		{"EXAMPLE.com/A", "https://example.com/A", "0"},
		{"EXAMPLE.com/A", "https://example.com/a", "nobody"},
		{"*example.com/* example.com/*", "https://example.com/x", "undecided"},
		{"https://example.com/* example.com/*", "https://example.com/x", "undecided"},
	} {
		var all []Route
		for i, p := range strings.Fields(tt.patterns) {
			all = append(all, Route{Pattern: p, Script: fmt.Sprint(i)})
		}
		scheme, rest, _ := strings.Cut(tt.url, "://")
		host, path, _ := strings.Cut(rest, "/")
		if got := docAnswer(all, "", scheme, host, "/"+path); got != tt.want {
			t.Errorf("%s of %s is answered by %s, want %s", tt.url, tt.patterns, got, tt.want)
		}
		if got := decided(all, "", scheme, host, "/"+path); got != tt.want {
			t.Errorf("%s of %s: the product says %s, want %s", tt.url, tt.patterns, got, tt.want)
		}
	}
}

// decided is what the product says of one URL.
func decided(all []Route, domain, scheme, host, rest string) string {
	return decider(all, domain, host)(scheme, rest)
}

// decider decides the host once, as Judge does, and looks up URLs in what came of it.
func decider(all []Route, domain, host string) func(scheme, rest string) string {
	c := &Capture{Host: strings.ToLower(host), Routes: all}
	if domain != "" {
		c.Domains = []cfapi.Domain{{Hostname: host, Service: domain}}
	}
	j := judge{c: c}
	j.readPatterns()
	regions, at := map[string][]claimed{}, map[string]map[key]int{}
	for _, scheme := range []string{"https", "http"} {
		regions[scheme] = j.split(scheme)
		at[scheme] = map[key]int{}
		for i, r := range regions[scheme] {
			at[scheme][key{r.boundary, r.exact}] = i
		}
	}
	return func(scheme, rest string) string {
		i, ok := locate(at[scheme], rest)
		if !ok {
			return "in no region"
		}
		return regions[scheme][i].answers()
	}
}

const pairs = 1_000_000

// TestAMillionURLs decides a million URLs of random sets of patterns both ways, most of them near a pattern's own text, where
// mistakes are.
func TestAMillionURLs(t *testing.T) {
	t.Parallel()
	const urls = 20
	var (
		wg     sync.WaitGroup
		next   atomic.Uint64
		failed atomic.Int64
		seen   [4]atomic.Int64 // nobody, undecided, a custom domain, a Worker's route
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1); seed <= pairs/urls && failed.Load() < 5; seed = next.Add(1) {
				rng := rand.New(rand.NewPCG(seed, 42))
				host, domain, all := randomAccount(rng)
				product := decider(all, domain, host)
				for range urls {
					scheme, rest := randomURL(rng, all)
					got, want := product(scheme, rest), docAnswer(all, domain, scheme, host, rest)
					if got != want {
						failed.Add(1)
						t.Errorf("seed %d: %s://%s%s is answered by %s, the product says %s; custom domain %q, routes %q", seed, scheme, host, rest, want, got, domain, all)
					}
					seen[kindOfAnswer(want)].Add(1)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("nobody %d, undecided %d, custom domain %d, route %d", seen[0].Load(), seen[1].Load(), seen[2].Load(), seen[3].Load())
	total := int64(0)
	for i := range seen {
		total += seen[i].Load()
		if seen[i].Load() < pairs/100 {
			t.Errorf("outcome %d is hardly met: %d", i, seen[i].Load())
		}
	}
	if total != pairs {
		t.Errorf("%d pairs were compared", total)
	}
}

func kindOfAnswer(answer string) int {
	switch answer {
	case "nobody":
		return 0
	case "undecided":
		return 1
	case "domain":
		return 2
	default:
		return 3
	}
}

var (
	millionHosts  = []string{"a.example.com", "example.com", "myexample.com", "a.b.example.com", "A.Example.COM"}
	hostPatterns  = []string{"a.example.com", "*.example.com", "*example.com", "*", "example.com", "a.b.example.com", "*.b.example.com", "*b.example.com", "A.EXAMPLE.com", "*.com", "other.org", "*ple.com"}
	pathParts     = []string{"images", "images123", "a", "ab", "b", "A", "", "v1", "cat.png", "%41", "x=1", "*"}
	schemes       = []string{"", "", "", "", "http://", "https://", "HTTPS://"}
	urlTails      = []string{"", "", "/", "x", "?", "?x=1", "?foo=bar", "/hello", "/a/b", "//", "%2F", "&", "*"}
	millionDomain = []string{"", "", "domain"}
)

func randomAccount(rng *rand.Rand) (host, domain string, all []Route) {
	pick := func(from []string) string { return from[rng.IntN(len(from))] }
	host, domain = pick(millionHosts), pick(millionDomain)
	for range rng.IntN(10) {
		p := pick(schemes) + pick(hostPatterns)
		if rng.IntN(3) > 0 { // mostly patterns that can match, and can tie
			_, parent, _ := strings.Cut(host, ".")
			p = pick(schemes) + pick([]string{host, host, "*" + host, "*." + parent, "*" + parent, strings.ToUpper(host)})
		}
		if rng.IntN(12) > 0 {
			p += "/"
			for n := rng.IntN(4); n > 0; n-- {
				part := pick(pathParts)
				if part == "*" {
					continue // a wildcard may only end a pattern
				}
				p += part
				if n > 1 || rng.IntN(3) == 0 {
					p += "/"
				}
			}
			if rng.IntN(2) == 0 {
				p += "*"
			}
		}
		all = append(all, Route{ID: fmt.Sprint(len(all)), Pattern: p, Script: []string{"one", "two", "three", ""}[rng.IntN(4)]})
	}
	return host, domain, all
}

// randomURL is a pattern's own text, changed a little, or any text.
func randomURL(rng *rand.Rand, all []Route) (scheme, rest string) {
	scheme = []string{"http", "https"}[rng.IntN(2)]
	if len(all) == 0 || rng.IntN(5) == 0 {
		rest = "/"
		for range rng.IntN(3) {
			rest += pathParts[rng.IntN(len(pathParts))] + "/"
		}
		return scheme, rest + urlTails[rng.IntN(len(urlTails))]
	}
	p := all[rng.IntN(len(all))].Pattern
	if i := strings.Index(p, "://"); i >= 0 {
		p = p[i+3:]
	}
	rest = "/"
	if i := strings.IndexByte(p, '/'); i >= 0 {
		rest = p[i:]
	}
	rest = strings.TrimSuffix(rest, "*")
	if n := rng.IntN(3); n == 0 && len(rest) > 1 {
		rest = rest[:1+rng.IntN(len(rest)-1)]
	}
	return scheme, rest + urlTails[rng.IntN(len(urlTails))]
}
