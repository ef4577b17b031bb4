package schema

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
	"github.com/cognomega/edge/internal/localpg/pgtest"
	"github.com/cognomega/edge/migrations"
)

var bed pgtest.Bed

func TestMain(m *testing.M) {
	os.Exit(pgtest.Run(m, &bed, func(*pgtest.Bed) error { return nil }))
}

func config(t *testing.T, url string) *pgx.ConnConfig {
	t.Helper()
	target, err := pgurl.Parse(url, "")
	if err != nil {
		t.Fatal(err)
	}
	return target.Direct
}

func migrator(t *testing.T, url string, source fs.FS) *Migrator {
	t.Helper()
	m, err := newMigrator(config(t, url), source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func session(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// TestEveryMigrationGoesDown goes up one by one, then down one by one, and finds at each version the same catalogue both times.
func TestEveryMigrationGoesDown(t *testing.T) {
	t.Parallel()
	url := bed.Database(t, "")
	m, conn := migrator(t, url, migrations.FS), session(t, url)
	shapes := map[int64][]string{0: shape(t, conn)}
	for v := int64(1); v <= m.Target(); v++ {
		if done, err := m.Up(t.Context(), v); err != nil || len(done) != 1 {
			t.Fatalf("up to %d: %v, %v", v, done, err)
		}
		shapes[v] = shape(t, conn)
	}
	for v := m.Target() - 1; v >= 0; v-- {
		if done, err := m.Down(t.Context(), v); err != nil || len(done) != 1 {
			t.Fatalf("down to %d: %v, %v", v, done, err)
		}
		if diff := cmp.Diff(shapes[v], shape(t, conn)); diff != "" {
			t.Errorf("version %d is another after going down (-up +down):\n%s", v, diff)
		}
	}
	if done, err := m.Up(t.Context(), 0); err != nil || len(done) != int(m.Target()) {
		t.Fatalf("up again: %v, %v", done, err)
	}
	if diff := cmp.Diff(shapes[m.Target()], shape(t, conn)); diff != "" {
		t.Error(diff)
	}
	if invalid, err := m.InvalidIndexes(t.Context()); err != nil || len(invalid) > 0 {
		t.Errorf("half-built: %v, %v", invalid, err)
	}
}

// shape lists every object of the ledger with its definition.
func shape(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || coalesce(column_default, '') FROM information_schema.columns WHERE table_schema = 'ledger'
		UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'ledger'
		UNION ALL SELECT 'function ' || pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'ledger'
		UNION ALL SELECT 'constraint ' || conname || pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_namespace n ON n.oid = connamespace WHERE nspname = 'ledger'
		UNION ALL SELECT 'trigger ' || pg_get_triggerdef(g.oid) || tgenabled::text FROM pg_trigger g JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'ledger' AND NOT tgisinternal
		UNION ALL SELECT 'type ' || typname FROM pg_type y JOIN pg_namespace n ON n.oid = typnamespace WHERE nspname = 'ledger' AND typtype = 'c'
		UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = 'ledger'
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestTwoMigratorsAtOnce(t *testing.T) {
	t.Parallel()
	url := bed.Database(t, "")
	var wg sync.WaitGroup
	done, errs := make([][]Step, 3), make([]error, 3)
	for i := range done {
		m := migrator(t, url, migrations.FS)
		wg.Go(func() { done[i], errs[i] = m.Up(t.Context(), 0) })
	}
	wg.Wait()
	total := 0
	for i := range done {
		if errs[i] != nil {
			t.Error(errs[i])
		}
		if n := len(done[i]); n != 0 && n != int(migrator(t, url, migrations.FS).Target()) {
			t.Errorf("migrator %d did %d steps: they took turns", i, n)
		}
		total += len(done[i])
	}
	if want := int(migrator(t, url, migrations.FS).Target()); total != want {
		t.Errorf("%d migrations were applied, of %d", total, want)
	}
}

const head = "-- Why.\n-- release: 1\n-- phase: expand\n"

func small() fstest.MapFS {
	one := head + "-- +goose Up\nCREATE SCHEMA ledger;\nCREATE TABLE ledger.a (n int);\n-- +goose Down\nDROP SCHEMA ledger CASCADE;\n"
	two := head + "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_n ON ledger.a (n);\n-- +goose Down\nDROP INDEX CONCURRENTLY IF EXISTS ledger.a_n;\n"
	return fstest.MapFS{"00001_one.sql": {Data: []byte(one)}, "00002_two.sql": {Data: []byte(two)}}
}

func TestAnEditedMigrationIsRefused(t *testing.T) {
	t.Parallel()
	url := bed.Database(t, "")
	if _, err := migrator(t, url, small()).Up(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	files := small()
	files["00001_one.sql"].Data = append(files["00001_one.sql"].Data, "-- an innocent comment\n"...)
	m := migrator(t, url, files)
	for name, run := range map[string]func() error{
		"up":   func() error { _, err := m.Up(t.Context(), 0); return err },
		"down": func() error { _, err := m.Down(t.Context(), 0); return err },
	} {
		err := run()
		if !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "00001_one.sql: it was edited") || fault.HintOf(err) == "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
	states, err := m.Status(t.Context())
	if err != nil || states[0].Trouble != edited || states[1].Applied {
		t.Errorf("status %+v, %v", states, err)
	}
	// What was never applied may be edited.
	files = small()
	files["00002_two.sql"].Data = append(files["00002_two.sql"].Data, "-- a better thought\n"...)
	if done, err := migrator(t, url, files).Up(t.Context(), 0); err != nil || len(done) != 1 {
		t.Errorf("applied %v, %v", done, err)
	}
}

func TestASchemaNewerThanTheProgramIsRefused(t *testing.T) {
	t.Parallel()
	url := bed.Database(t, "")
	if _, err := migrator(t, url, small()).Up(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	files := small()
	delete(files, "00002_two.sql")
	_, err := migrator(t, url, files).Up(t.Context(), 0)
	if !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "newer than the program") {
		t.Errorf("got %v", err)
	}
}

func TestStatusWritesNothing(t *testing.T) {
	t.Parallel()
	url := bed.Database(t, "")
	states, err := migrator(t, url, small()).Status(t.Context())
	if err != nil || len(states) != 2 || states[0].Applied {
		t.Fatalf("%+v, %v", states, err)
	}
	var tables int
	if err := session(t, url).QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables); err != nil || tables != 0 {
		t.Errorf("%d tables, %v", tables, err)
	}
}

// TestAHalfBuiltIndexIsBuiltAgain leaves behind what a failed CREATE INDEX CONCURRENTLY leaves.
func TestAHalfBuiltIndexIsBuiltAgain(t *testing.T) {
	t.Parallel()
	url := bed.Database(t, "")
	m, conn := migrator(t, url, small()), session(t, url)
	if _, err := m.Up(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO ledger.a VALUES (1), (1)"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Up(t.Context(), 0); !errors.Is(err, fault.Invalid) {
		t.Fatalf("the rows are not unique, got %v", err)
	}
	if names, err := m.InvalidIndexes(t.Context()); err != nil || len(names) != 1 {
		t.Fatalf("half-built: %v, %v", names, err)
	}
	if _, err := conn.Exec(t.Context(), "TRUNCATE ledger.a"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Up(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if names, err := m.InvalidIndexes(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("half-built: %v, %v", names, err)
	}
}

// TestKilledBetweenAnIndexAndItsRecord is where a migration outside a transaction can be cut in two.
func TestKilledBetweenAnIndexAndItsRecord(t *testing.T) {
	t.Parallel()
	url := bed.Database(t, "")
	m, conn := migrator(t, url, small()), session(t, url)
	if _, err := m.Up(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if tag, err := conn.Exec(t.Context(), "DELETE FROM goose_db_version WHERE version_id = 2"); err != nil || tag.RowsAffected() != 1 {
		t.Fatal(tag, err)
	}
	if done, err := m.Up(t.Context(), 0); err != nil || len(done) != 1 {
		t.Errorf("went on with %v, %v", done, err)
	}
	if version, _, err := m.Version(t.Context()); err != nil || version != 2 {
		t.Errorf("version %d, %v", version, err)
	}
}

// TestADeadMigratorsLeaseEnds plants the lock row of a migrator that was killed.
func TestADeadMigratorsLeaseEnds(t *testing.T) {
	t.Parallel()
	url := bed.Database(t, "")
	m, conn := migrator(t, url, small()), session(t, url)
	if _, err := m.Up(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	tag, err := conn.Exec(t.Context(), "UPDATE goose_lock SET locked = true, locked_by = 'dead', locked_at = now(), lease_expires_at = now() + interval '1 second'")
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("plant the lock: %v, %v", tag, err)
	}
	begin := time.Now()
	if _, err := m.Up(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(begin); waited < 500*time.Millisecond {
		t.Errorf("went on after %s: the lease of another was not respected", waited)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	_, err := migrator(t, fmt.Sprintf("postgres://u:topsecret@127.0.0.1:%d/x", 1), small()).Up(t.Context(), 0)
	if !errors.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("got %v", err)
	}
}
