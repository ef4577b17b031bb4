package edge

import (
	"errors"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
)

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
