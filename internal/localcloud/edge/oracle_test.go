package edge

import (
	"math/rand/v2"
	"strings"
	"testing"
)

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
