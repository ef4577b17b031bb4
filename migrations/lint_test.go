package migrations_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cognomega/edge/migrations"
)

func TestTheMigrationsKeepTheRules(t *testing.T) {
	t.Parallel()
	files, broken := migrations.Lint(migrations.FS)
	for _, b := range broken {
		t.Error(b)
	}
	if len(files) < 10 {
		t.Errorf("only %d files were read", len(files))
	}
}

func TestBrokenRulesAreFound(t *testing.T) {
	t.Parallel()
	const head = "-- Why.\n-- release: 1\n-- phase: expand\n"
	file := func(up, down string) string { return head + "-- +goose Up\n" + up + "\n-- +goose Down\n" + down + "\n" }
	good := file("CREATE TABLE a (n int);", "DROP TABLE a;")
	tests := map[string]struct {
		files map[string]string
		want  string // empty: nothing is wrong
	}{
		"sound":                          {map[string]string{"00001_a.sql": good}, ""},
		"a semicolon in a function body": {map[string]string{"00001_a.sql": file("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ SELECT 1; DROP TABLE x; $$;", "DROP FUNCTION f();")}, ""},
		"no files":                       {nil, "no migrations"},
		"drops in an expansion":          {map[string]string{"00001_a.sql": file("ALTER TABLE a DROP COLUMN n;", "ALTER TABLE a ADD n int;")}, "takes away"},
		"renames in an expansion":        {map[string]string{"00001_a.sql": file("ALTER TABLE a\n  RENAME n TO m;", "ALTER TABLE a RENAME m TO n;")}, "takes away"},
		"tightens in an expansion":       {map[string]string{"00001_a.sql": file("ALTER TABLE a ALTER n SET NOT NULL;", "ALTER TABLE a ALTER n DROP NOT NULL;")}, "takes away"},
		"both phases in one release": {map[string]string{
			"00001_a.sql": good, "00002_b.sql": strings.Replace(file("DROP TABLE b;", "CREATE TABLE b (n int);"), "expand", "contract", 1),
		}, "both expand and contract"},
		"contraction in the next release": {map[string]string{
			"00001_a.sql": good, "00002_b.sql": strings.NewReplacer("expand", "contract", "release: 1", "release: 2").Replace(file("DROP TABLE b;", "CREATE TABLE b (n int);")),
		}, ""},
		"release falls":        {map[string]string{"00001_a.sql": strings.Replace(good, "release: 1", "release: 2", 1), "00002_b.sql": good}, "after files of release 2"},
		"a version is missing": {map[string]string{"00001_a.sql": good, "00003_b.sql": good}, "follows version 1"},
		"no down":              {map[string]string{"00001_a.sql": file("CREATE TABLE a (n int);", "-- nothing")}, "up and for down"},
		"no header":            {map[string]string{"00001_a.sql": strings.TrimPrefix(good, head)}, "does not say its release"},
		"name":                 {map[string]string{"1-a.sql": good}, "NNNNN"},
		"plain index":          {map[string]string{"00001_a.sql": file("CREATE INDEX i ON a (n);", "DROP INDEX i;")}, "made CONCURRENTLY"},
		"index in a transaction": {
			map[string]string{"00001_a.sql": file("CREATE INDEX CONCURRENTLY i ON a (n);", "DROP INDEX CONCURRENTLY i;")}, "needs NO TRANSACTION",
		},
		"index in company": {map[string]string{"00001_a.sql": strings.Replace(
			file("CREATE INDEX CONCURRENTLY i ON a (n); SELECT 1;", "DROP INDEX CONCURRENTLY i;"), "-- +goose Up", "-- +goose NO TRANSACTION\n-- +goose Up", 1)}, "alone"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := fstest.MapFS{}
			for n, text := range tt.files {
				fs[n] = &fstest.MapFile{Data: []byte(text)}
			}
			_, broken := migrations.Lint(fs)
			got := strings.Join(broken, "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
