package edge

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEveryRowHasItsTest holds pages of docs/ against the tests that they name: everything they must speak of, and no test that is gone.
func TestEveryRowHasItsTest(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile("(?m)^\\| ([^|]+) \\| .* \\| `([^`]+)` \\| `([^`]+)` \\|$")
	for page, subjects := range map[string][]string{
		"docs/defects.md":  {"1", "2", "3", "4", "5", "6", "7", "8", "9"},
		"docs/promises.md": {"tokens", "files", "bad input", "the way"},
	} {
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string]int{}
		rows := row.FindAllStringSubmatch(string(raw), -1)
		for _, m := range rows {
			shown[m[1]]++
			text, err := os.ReadFile(m[2])
			if err != nil || !strings.Contains(string(text), m[3]) {
				t.Errorf("%s: of %s, %s has no test %q (%v)", page, m[1], m[2], m[3], err)
			}
		}
		for _, subject := range subjects {
			if shown[subject] == 0 {
				t.Errorf("%s: %s has no test", page, subject)
			}
		}
		if n := strings.Count(string(raw), "\n| ") - 1; len(rows) != n {
			t.Errorf("%s: %d rows, of which %d are read", page, n, len(rows))
		}
	}
}
