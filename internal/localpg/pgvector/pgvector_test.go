package pgvector_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localpg"
	"github.com/cognomega/edge/internal/localpg/pgvector"
)

// tools puts programs of a few lines of shell where apt, dpkg and gcc would be, so that these tests need no network and no compiler.
// They change PATH, and so run one after another.
func tools(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nPATH=/usr/bin:/bin\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, real := range []string{"tar", "gzip"} {
		path, err := exec.LookPath(real)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, real)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

// These stand-ins do what the real ones do to files: apt fetches a source and a package, dpkg unpacks, gcc writes what -o names.
const (
	fakeApt = `case "$*" in
*" update") exit 0 ;;
*" source --"*) mkdir -p p/src p/sql; echo x > p/src/a.c; echo y > p/src/b.c; echo control > p/vector.control; echo sql > p/sql/vector.sql; tar -czf pgvector_0.8.0.orig.tar.gz p ;;
*" download "*) for p; do :; done; echo deb > "${p}_1.deb" ;;
esac`
	fakeDpkg = `mkdir -p "$3/usr/include/postgresql/15/server"`
	fakeGCC  = `out= ; while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done; echo compiled > "$out"`
)

func builder(t *testing.T) pgvector.Builder {
	t.Helper()
	return pgvector.Builder{
		Native: filepath.Join(t.TempDir(), "native"), Cache: t.TempDir(), Mirror: "http://mirror.invalid",
		Now: func() time.Time { return time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC) },
	}
}

func TestItIsBuiltOnceAndInstalledAgainFromWhatWasKept(t *testing.T) {
	tools(t, map[string]string{"apt-get": fakeApt, "dpkg-deb": fakeDpkg, "gcc": fakeGCC})
	b := builder(t)
	if err := b.Wanting(); err != nil {
		t.Fatal(err)
	}
	if b.Built() || b.Installed() {
		t.Fatal("it is there before it was built")
	}
	if err := b.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !b.Built() || b.Installed() {
		t.Fatalf("after the build: built %t, installed %t", b.Built(), b.Installed())
	}
	for range 2 { // the second as after `npm ci`, which makes the server's folder anew
		if err := os.RemoveAll(b.Native); err != nil {
			t.Fatal(err)
		}
		if err := b.Install(); err != nil || !b.Installed() {
			t.Fatalf("installed %t, %v", b.Installed(), err)
		}
	}
	for path, want := range map[string]string{
		"lib/postgresql/vector.so": "compiled\n", "share/postgresql/extension/vector.control": "control\n", "share/postgresql/extension/vector--0.8.0.sql": "sql\n",
	} {
		if raw, err := os.ReadFile(filepath.Join(b.Native, path)); err != nil || string(raw) != want {
			t.Errorf("%s holds %q, %v", path, raw, err)
		}
	}
}

func TestTheMirrorIsTheMachinesOwn(t *testing.T) {
	apt := func(uris string) string {
		return `[ "$1" = indextargets ] && { printf '` + uris + `'; exit 0; }
cat "$(echo "$*" | sed 's/.*SourceList=\([^ ]*\).*/\1/')" > "$LIST"
` + fakeApt
	}
	for name, tt := range map[string]struct{ uris, want string }{
		"Debian's":        {"http://mirror.example/debian-security/\nhttp://mirror.example/debian/\n", " http://mirror.example/debian bookworm main"},
		"another's alone": {"http://mirror.example/ubuntu\n", ""},
		"none":            {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			list := filepath.Join(t.TempDir(), "list")
			t.Setenv("LIST", list)
			tools(t, map[string]string{"apt-get": apt(tt.uris), "dpkg-deb": fakeDpkg, "gcc": fakeGCC})
			b := builder(t)
			b.Mirror = ""
			err := b.Build(t.Context())
			if tt.want == "" {
				if err == nil || !strings.Contains(err.Error(), "no Debian mirror is among the sources") {
					t.Errorf("without a mirror: %v", err)
				}
				return
			}
			if raw, readErr := os.ReadFile(list); err != nil || readErr != nil || !strings.Contains(string(raw), tt.want) {
				t.Errorf("%v, %v: the sources are %q", err, readErr, raw)
			}
		})
	}
}

func TestWithoutToolsNothingIsTried(t *testing.T) {
	for missing, with := range map[string]map[string]string{
		"gcc": {"apt-get": "touch tried", "dpkg-deb": ""}, "apt-get": {"gcc": "", "dpkg-deb": ""}, "dpkg-deb": {"gcc": "", "apt-get": "touch tried"},
	} {
		tools(t, with)
		if err := builder(t).Wanting(); err == nil || !strings.Contains(err.Error(), missing+" is not on PATH") {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}

func TestAFailureIsSaidRememberedAndForgotten(t *testing.T) {
	tools(t, map[string]string{"apt-get": "echo 'E: the mirror does not answer' >&2; exit 100", "dpkg-deb": fakeDpkg, "gcc": fakeGCC})
	b := builder(t)
	if err := b.Build(t.Context()); err == nil || !strings.Contains(err.Error(), "the mirror does not answer") || b.Built() {
		t.Fatalf("built %t, %v", b.Built(), err)
	}
	if err := b.Wanting(); err == nil || !strings.Contains(err.Error(), "the mirror does not answer") || fault.HintOf(err) == "" {
		t.Errorf("a moment later: %v", err)
	}
	asked := b
	asked.Again = true
	if err := asked.Wanting(); err != nil {
		t.Errorf("asked again: %v", err)
	}
	later := b
	later.Now = func() time.Time { return b.Now().Add(25 * time.Hour) }
	if err := later.Wanting(); err != nil {
		t.Errorf("a day later: %v", err)
	}
	tools(t, map[string]string{"apt-get": fakeApt, "dpkg-deb": fakeDpkg, "gcc": fakeGCC})
	if err := b.Build(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Wanting(); err != nil {
		t.Errorf("after a build that went well: %v", err)
	}
}

func TestABrokenCompilerLeavesNothing(t *testing.T) {
	tools(t, map[string]string{"apt-get": fakeApt, "dpkg-deb": fakeDpkg, "gcc": "echo 'a.c:1: error: no' >&2; exit 1"})
	b := builder(t)
	if err := b.Build(t.Context()); err == nil || !strings.Contains(err.Error(), "error: no") || b.Built() || b.Installed() {
		t.Errorf("built %t, installed %t, %v", b.Built(), b.Installed(), err)
	}
}

// An interrupted build says nothing of the machine: it is not remembered.
func TestAnInterruptIsNotAFailure(t *testing.T) {
	tools(t, map[string]string{"apt-get": "exec sleep 60", "dpkg-deb": fakeDpkg, "gcc": fakeGCC})
	b := builder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Build(ctx); err == nil {
		t.Fatal("it was built")
	}
	if err := b.Wanting(); err != nil {
		t.Errorf("remembered: %v", err)
	}
}

// TestTheServerFindsNeighbours uses what set-up built. Where COGNOMEGA_WANT_PGVECTOR is set, as in CI, it must be there.
func TestTheServerFindsNeighbours(t *testing.T) {
	t.Parallel()
	binaries, err := localpg.FindBinaries("../../../workers/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if b := (pgvector.Builder{Native: binaries.Dir()}); !b.Installed() {
		if os.Getenv("COGNOMEGA_WANT_PGVECTOR") != "" {
			t.Fatal("pgvector is wanted and was not built")
		}
		t.Skip("pgvector was not built on this machine: cogctl setup says why")
	}
	s, err := localpg.Start(t.Context(), localpg.Config{Dir: filepath.Join(t.TempDir(), "pg"), Binaries: binaries, Bound: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	conn, err := pgx.Connect(t.Context(), s.SocketURL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `CREATE EXTENSION vector;
		CREATE TABLE item (id int PRIMARY KEY, embedding vector(3) NOT NULL);
		INSERT INTO item SELECT i, ARRAY[cos(i / 100.0), sin(i / 100.0), 0]::vector FROM generate_series(1, 300) i;
		CREATE INDEX ON item USING hnsw (embedding vector_cosine_ops);
		SET enable_seqscan = off`)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conn.Query(t.Context(), `SELECT id FROM item ORDER BY embedding <=> ARRAY[cos(1.5), sin(1.5), 0]::vector LIMIT 3`)
	if err != nil {
		t.Fatal(err)
	}
	near, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil || len(near) != 3 || near[0] != 150 {
		t.Errorf("near 150 are %v, %v", near, err)
	}
}
