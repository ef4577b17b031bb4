package routes

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestPartitionAgreesWithBruteForce decides every short URL over a small alphabet by trying every route, and compares.
func TestPartitionAgreesWithBruteForce(t *testing.T) {
	t.Parallel()
	const letters = "/ab"
	texts := every(letters, 5)
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 7))
		all := randomRoutes(t, rng, letters)
		for _, scheme := range []string{"http", "https"} {
			regions := partition(all, scheme, "a.b.test", letters)
			at := map[key]int{}
			for i, r := range regions {
				at[key{r.boundary, r.exact}] = i
				if want := brute(all, scheme, "a.b.test", r.witness); !slices.Equal(r.winners, want) {
					t.Fatalf("seed %d: witness %q of region %+v is won by %v", seed, r.witness, r, want)
				}
			}
			for _, text := range texts {
				i, ok := locate(at, text)
				if !ok {
					t.Fatalf("seed %d: %q is in no region", seed, text)
				}
				if want := brute(all, scheme, "a.b.test", text); !slices.Equal(regions[i].winners, want) {
					t.Fatalf("seed %d: %q: region %+v says %v, brute force %v; routes %v", seed, text, regions[i], regions[i].winners, want, all)
				}
			}
		}
	}
}

// brute is the definition: all matching routes with the highest score.
func brute(all []parsed, scheme, host, text string) []int {
	best := []int{}
	top := -1 << 30
	for _, r := range all {
		if !r.coversHost(scheme, host) || !r.coversText(text) {
			continue
		}
		if r.score > top {
			top, best = r.score, best[:0]
		}
		if r.score == top {
			best = append(best, r.index)
		}
	}
	return best
}

func randomRoutes(t *testing.T, rng *rand.Rand, letters string) []parsed {
	t.Helper()
	hosts := []string{"a.b.test", "*.b.test", "*b.test", "*", "c.test", "A.B.test"}
	schemes := []string{"", "", "", "http://", "https://"}
	var all []parsed
	for i := range rng.IntN(9) {
		var path strings.Builder
		for range rng.IntN(4) {
			path.WriteByte(letters[rng.IntN(len(letters))])
		}
		text := schemes[rng.IntN(len(schemes))] + hosts[rng.IntN(len(hosts))] + "/" + path.String()
		if rng.IntN(2) == 0 {
			text += "*"
		}
		p, err := parsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, parsed{Route{ID: fmt.Sprint(i), Pattern: text, Script: fmt.Sprint("w", rng.IntN(3))}, p, i})
	}
	return all
}

// every lists the texts of up to n more characters after the first slash.
func every(letters string, n int) []string {
	texts := []string{"/"}
	for from := 0; n > 0; n-- {
		to := len(texts)
		for _, text := range texts[from:to] {
			for _, c := range letters {
				texts = append(texts, text+string(c))
			}
		}
		from = to
	}
	return texts
}

// Cloudflare's published examples (developers.cloudflare.com/workers/configuration/routing/routes and known-issues).
func TestSpecificityOfPublishedExamples(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ routes, urls []string }{
		"more of the host wins": {[]string{"*.example.com/a", "a.example.com/*"}, []string{"https://a.example.com/a=a.example.com/*"}},
		"images* beats images/*": {[]string{"example.com/images*", "example.com/images/*"},
			[]string{"https://example.com/images=example.com/images*", "https://example.com/images123=example.com/images*", "https://example.com/images/hello=example.com/images*"}},
		"the query is part of the match": {[]string{"example.com/a", "example.com/*"},
			[]string{"https://example.com/a=example.com/a", "https://example.com/a?x=1=example.com/*"}},
		"ties are ties":       {[]string{"*example.com/*", "example.com/*"}, []string{"https://example.com/x=*example.com/*,example.com/*"}},
		"scheme and none tie": {[]string{"https://example.com/*", "example.com/*"}, []string{"https://example.com/x=https://example.com/*,example.com/*", "http://example.com/x=example.com/*"}},
		"no path is the root": {[]string{"example.com"}, []string{"https://example.com/=example.com", "https://example.com/x="}},
		"a star takes any prefix of the host": {[]string{"*example.com/*"},
			[]string{"https://myexample.com/=*example.com/*", "https://example.com/=*example.com/*"}},
		"a star label takes subhosts only": {[]string{"*.example.com/*"},
			[]string{"https://example.com/=", "https://a.b.example.com/=*.example.com/*"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []parsed
			for i, text := range tt.routes {
				p, err := parsePattern(text)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, parsed{Route{Pattern: text}, p, i})
			}
			for _, line := range tt.urls {
				cut := strings.LastIndex(line, "=")
				scheme, rest, _ := strings.Cut(line[:cut], "://")
				host, path, _ := strings.Cut(rest, "/")
				var got []string
				for _, r := range decide(all, scheme, host, "/"+path) {
					got = append(got, all[r].Pattern)
				}
				if strings.Join(got, ",") != line[cut+1:] {
					t.Errorf("%s is won by %v, want %s", line[:cut], got, line[cut+1:])
				}
			}
		})
	}
}

func decide(all []parsed, scheme, host, text string) []int {
	regions := partition(all, scheme, host, alphabet)
	at := map[key]int{}
	for i, r := range regions {
		at[key{r.boundary, r.exact}] = i
	}
	i, ok := locate(at, text)
	if !ok {
		return nil
	}
	return regions[i].winners
}

func TestPatternsCloudflareRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "/x", "ftp://a.test/*", "a.*.test/*", "a.test/*/x", "a.test/x?y", "a.test/x#y", "a.test/a b", "http://", "a*.test/"} {
		if p, err := parsePattern(text); err == nil {
			t.Errorf("%q was read as %+v", text, p)
		}
	}
}

func FuzzParsePattern(f *testing.F) {
	for _, text := range []string{"example.com/*", "https://*.example.com/a*", "*", "*/*", "a://b", "*.*", "EXAMPLE.com/A"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePattern(text)
		if err != nil {
			return
		}
		if strings.Contains(p.host, "*") || strings.Contains(p.path, "*") || !strings.HasPrefix(p.path, "/") {
			t.Errorf("%q became %+v", text, p)
		}
		if !p.anyHost && !p.coversHost("https", p.host) && p.scheme != "http" || !p.coversText(p.path) {
			t.Errorf("%q does not match its own text: %+v", text, p)
		}
	})
}
