package cli_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// TestAPlanBeforeTheFirstUpHasEnded plants what a first `up` leaves that is killed on its way, step by step.
func TestAPlanBeforeTheFirstUpHasEnded(t *testing.T) {
	t.Parallel()
	steps := []struct {
		name  string
		files map[string]string
		first bool
	}{
		{"nothing", nil, true},
		{"the account", map[string]string{"cloud.db": ""}, true},
		{"the account and a database", map[string]string{"cloud.db": "", "pg/data": ""}, true},
		{"secrets without the database's", map[string]string{"cloud.db": "", "pg/data": "", "secrets.json": `{"ADMIN_API_KEY":"a"}`}, true},
		{"all that a plan needs", map[string]string{"cloud.db": "", "pg/data": "", "secrets.json": `{"DATABASE_URL":"postgres://u@127.0.0.1:1/l"}`}, false},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range step.files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d := cli.NewDeps("test")
			fake, out, said := term.Test(term.Fake{})
			d.Term, d.Getenv = fake, func(string) string { return "" }
			code := cli.Run(t.Context(), d, []string{"up", "--dry-run", "--dir", dir})
			first := code == fault.ExitOK && strings.Contains(out.String(), "there is no platform on this machine yet")
			if first != step.first {
				t.Errorf("exit %d\n%s%s", code, out, said)
			}
			if left := filesBelow(t, dir); step.first && !maps.Equal(left, step.files) {
				t.Errorf("a dry run leaves %v of %v", left, step.files)
			}
		})
	}
}

func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
