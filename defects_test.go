package edge

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestEveryDefectHasItsTest holds docs/defects.md against the tests that it names: all nine defects, and no test that is gone.
func TestEveryDefectHasItsTest(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("docs/defects.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| (\\d) \\| .* \\| `([^`]+)` \\| `([^`]+)` \\|$")
	shown := map[int]int{}
	for _, m := range row.FindAllStringSubmatch(string(raw), -1) {
		n, _ := strconv.Atoi(m[1]) // one digit
		shown[n]++
		text, err := os.ReadFile(m[2])
		if err != nil || !strings.Contains(string(text), m[3]) {
			t.Errorf("defect %d: %s has no test %q (%v)", n, m[2], m[3], err)
		}
	}
	for n := 1; n <= 9; n++ {
		if shown[n] == 0 {
			t.Errorf("defect %d has no test", n)
		}
	}
	if rows := strings.Count(string(raw), "\n| ") - 1; len(row.FindAllString(string(raw), -1)) != rows {
		t.Errorf("%d rows, of which %d are read", rows, len(row.FindAllString(string(raw), -1)))
	}
}
