// Package pgvector gives the embedded PostgreSQL the vector extension: compiled once from Debian's source package, then kept.
package pgvector

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cognomega/edge/internal/fault"
)

// Version is the pgvector that is built, and Major the PostgreSQL that it is built for: that of the embedded server.
const (
	Version = "0.8.0"
	Major   = "15"
)

// buildTimeout bounds everything, so that a mirror that answers slowly never keeps anybody from working.
const buildTimeout = 4 * time.Minute

// retryAfter is how long a build that failed is not tried again unasked.
const retryAfter = 24 * time.Hour

// Builder builds and installs the extension.
type Builder struct {
	Native string // the server's folder: bin, lib and share are below it
	Cache  string // where what was built is kept
	Again  bool   // try again although the last build failed a moment ago
	Now    func() time.Time
	Mirror string // a Debian mirror; empty: the one that this machine's apt uses
}

// piece is one of the extension's files, and where the server looks for it.
type piece struct{ name, dir string }

func pieces() []piece {
	return []piece{
		{"vector.so", filepath.Join("lib", "postgresql")},
		{"vector.control", filepath.Join("share", "postgresql", "extension")},
		{"vector--" + Version + ".sql", filepath.Join("share", "postgresql", "extension")},
	}
}

// Installed tells whether the server has the extension that would be built.
func (b Builder) Installed() bool {
	return hasAll(func(p piece) string { return filepath.Join(b.Native, p.dir, p.name) })
}

// Built tells whether it was built before.
func (b Builder) Built() bool {
	return hasAll(func(p piece) string { return filepath.Join(b.kept(), p.name) })
}

func hasAll(path func(piece) string) bool {
	for _, p := range pieces() {
		if info, err := os.Stat(path(p)); err != nil || info.Size() == 0 {
			return false
		}
	}
	return true
}

// kept is the folder of one build: another version, server or machine has its own.
func (b Builder) kept() string {
	return filepath.Join(b.Cache, "pgvector", Version+"-pg"+Major+"-"+runtime.GOOS+"-"+runtime.GOARCH)
}

// Wanting says what a build lacks; nil when it can be tried. It costs no time: it is asked at every start.
func (b Builder) Wanting() error {
	if runtime.GOOS != "linux" {
		return fault.New(fault.Unsupported, "it is built on Linux alone")
	}
	for _, tool := range []string{"gcc", "apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fault.New(fault.NotFound, "%s is not on PATH", tool)
		}
	}
	if raw, err := os.ReadFile(b.failure()); err == nil && !b.Again {
		at, said, _ := strings.Cut(string(raw), "\n")
		if unix, err := strconv.ParseInt(at, 10, 64); err == nil && b.Now().Sub(time.Unix(unix, 0)) < retryAfter {
			return fault.New(fault.Unavailable, "the last build failed: %s", said).WithHint("make setup tries again")
		}
	}
	return nil
}

// failure is the file that remembers a build that failed.
func (b Builder) failure() string { return b.kept() + ".failed" }

// Build fetches, compiles and keeps the extension. A failure is remembered, so that the next start does not wait for it again.
func (b Builder) Build(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	err := b.build(within)
	if err == nil {
		if err := os.Remove(b.failure()); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if ctx.Err() == nil { // else a person interrupted it, which says nothing
		first, _, _ := strings.Cut(err.Error(), "\n")
		_ = os.MkdirAll(filepath.Dir(b.failure()), 0o755)
		_ = os.WriteFile(b.failure(), []byte(strconv.FormatInt(b.Now().Unix(), 10)+"\n"+first), 0o600)
	}
	return err
}

func (b Builder) build(ctx context.Context) error {
	work, err := os.MkdirTemp("", "pgvector-")
	if err != nil {
		return fault.New(fault.Unavailable, "make a folder to build pgvector in: %w", err)
	}
	defer os.RemoveAll(work)
	src, err := debian{dir: work, mirror: b.Mirror}.fetch(ctx)
	if err != nil {
		return err
	}
	made, err := compile(ctx, src, work)
	if err != nil {
		return err
	}
	return b.keep(made)
}

// keep puts a build where later set-ups find it; the library goes last, and each file whole.
func (b Builder) keep(made string) error {
	for _, p := range reversed(pieces()) {
		if err := copyFile(filepath.Join(made, p.name), filepath.Join(b.kept(), p.name)); err != nil {
			return err
		}
	}
	return nil
}

// Install copies what was built to where the server looks. The server need not be restarted for it.
func (b Builder) Install() error {
	for _, p := range pieces() {
		if err := copyFile(filepath.Join(b.kept(), p.name), filepath.Join(b.Native, p.dir, p.name)); err != nil {
			return err
		}
	}
	return nil
}

func reversed(list []piece) []piece {
	out := make([]piece, 0, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		out = append(out, list[i])
	}
	return out
}

func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return fault.New(fault.Unavailable, "read pgvector: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fault.New(fault.Unavailable, "install pgvector: %w", err)
	}
	if err := renameio.WriteFile(to, raw, 0o644); err != nil {
		return fault.New(fault.Unavailable, "install pgvector: %w", err)
	}
	return nil
}
