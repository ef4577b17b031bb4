// Package pgtest gives a test package one real PostgreSQL server, and each of its tests a database of its own.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/localpg"
)

// Bed is a test package's server.
type Bed struct {
	*localpg.Server
	made atomic.Int64
}

// Run starts a server, runs the package's tests and stops it: the whole of a TestMain. ready may prepare a template.
func Run(m *testing.M, bed *Bed, ready func(*Bed) error) (code int) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	binaries, err := findBinaries()
	if err != nil {
		return fail(err)
	}
	if bed.Server, err = localpg.Start(ctx, localpg.Config{Dir: dir, Binaries: binaries, Bound: true}); err != nil {
		return fail(err)
	}
	defer func() {
		if err := bed.Stop(ctx); err != nil {
			code = fail(err)
		}
	}()
	if err := ready(bed); err != nil {
		return fail(err)
	}
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "PostgreSQL for tests:", err)
	return 1
}

// findBinaries walks up to the checkout that the test runs in.
func findBinaries() (localpg.Binaries, error) {
	at, err := os.Getwd()
	if err != nil {
		return localpg.Binaries{}, err
	}
	for ; at != filepath.Dir(at); at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			break
		}
	}
	return localpg.FindBinaries(filepath.Join(at, "workers", "node_modules"))
}

// Database makes a database for one test, a copy of template unless that is empty, and drops it when the test ends.
func (b *Bed) Database(t testing.TB, template string) (url string) {
	t.Helper()
	name := fmt.Sprintf("test_%d", b.made.Add(1))
	sql := "CREATE DATABASE " + name
	if template != "" {
		sql += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	if err := b.Exec(t.Context(), "postgres", sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	t.Cleanup(func() { _ = b.Exec(context.Background(), "postgres", "DROP DATABASE "+name+" WITH (FORCE)") })
	return b.URL(name)
}

// Exec runs one statement in a database.
func (b *Bed) Exec(ctx context.Context, database, sql string) error {
	conn, err := pgx.Connect(ctx, b.SocketURL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	if err != nil && strings.Contains(err.Error(), "being accessed by other users") {
		_, err = conn.Exec(ctx, sql) // a copy waits for a session of the template that is just ending
	}
	return err
}
