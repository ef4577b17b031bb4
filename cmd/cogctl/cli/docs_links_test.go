package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	heading = regexp.MustCompile(`(?m)^#{1,4} (.+)$`)
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	mark    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// brokenLinks lists the links of a document that lead nowhere, and the headings it has twice: a reader lands at the first only.
func brokenLinks(doc string, exists func(path string) bool) []string {
	var wrong []string
	anchors := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(doc, -1) {
		a := strings.ReplaceAll(mark.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		if anchors[a] {
			wrong = append(wrong, "twice: "+m[1])
		}
		anchors[a] = true
	}
	for _, m := range link.FindAllStringSubmatch(doc, -1) {
		path, anchor, _ := strings.Cut(m[1], "#")
		switch {
		case strings.Contains(path, "://"):
		case path == "" && !anchors[anchor], path != "" && !exists(path):
			wrong = append(wrong, "leads nowhere: "+m[1])
		}
	}
	return wrong
}

func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	for _, name := range documents {
		raw, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		exists := func(path string) bool {
			_, err := os.Stat(filepath.Join(root, path))
			return err == nil
		}
		for _, w := range brokenLinks(string(raw), exists) {
			t.Errorf("%s: %s", name, w)
		}
	}
}

// TestBrokenLinksAreSeen plants what must be found.
func TestBrokenLinksAreSeen(t *testing.T) {
	t.Parallel()
	const doc = "# Top\n\n## A key leaked: revoke\n\n## Neon is down\n\n## Neon is down\n\n[a](#a-key-leaked-revoke) [b](#gone) [c](there.md) [d](lost.md) [e](https://example.com/x)\n"
	got := strings.Join(brokenLinks(doc, func(path string) bool { return path == "there.md" }), "; ")
	if want := "twice: Neon is down; leads nowhere: #gone; leads nowhere: lost.md"; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
}
