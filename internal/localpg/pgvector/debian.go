package pgvector

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// debian fetches packages with apt's own client and a private configuration: the machine's lists, its cache and what is installed
// are not touched, and any user may do it.
type debian struct {
	dir    string
	mirror string
	keys   string
}

// The suites: the server's headers are in the one, the source of pgvector in the other.
const (
	headerSuite   = "bookworm"
	sourceSuite   = "trixie"
	headerPackage = "postgresql-server-dev-" + Major
	archiveKeys   = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// sources is what a build reads.
type sources struct{ pgvector, headers string }

func (d debian) fetch(ctx context.Context) (s sources, err error) {
	if d.mirror == "" {
		if d.mirror, err = machineMirror(ctx); err != nil {
			return s, err
		}
	}
	if d.keys, err = d.keyring(ctx); err != nil {
		return s, err
	}
	if err := d.prepare(); err != nil {
		return s, err
	}
	for _, args := range [][]string{
		{"update"}, {"source", "--download-only", "pgvector=" + Version + "-1"}, {"download", headerPackage},
	} {
		if err := d.apt(ctx, args...); err != nil {
			return s, err
		}
	}
	s = sources{pgvector: filepath.Join(d.dir, "pgvector"), headers: filepath.Join(d.dir, "headers")}
	if err := os.MkdirAll(s.pgvector, 0o755); err != nil {
		return s, fault.New(fault.Unavailable, "unpack pgvector: %w", err)
	}
	if err := run(ctx, d.dir, "tar", "-xzf", filepath.Join(d.dir, "pgvector_"+Version+".orig.tar.gz"), "-C", s.pgvector, "--strip-components=1"); err != nil {
		return s, err
	}
	return s, d.unpack(ctx, headerPackage, s.headers)
}

// machineMirror is the Debian mirror among the sources of this machine's apt. Every file is checked against the archive's signature.
func machineMirror(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
	out, err := cmd.Output()
	if err != nil {
		return "", fault.New(fault.Unavailable, "ask apt-get for its sources: %w", err)
	}
	for uri := range strings.FieldsSeq(string(out)) {
		if mirror := strings.TrimSuffix(uri, "/"); strings.HasSuffix(mirror, "/debian") {
			return mirror, nil
		}
	}
	return "", fault.New(fault.NotFound, "no Debian mirror is among the sources of apt-get")
}

// keyring is Debian's own: there on Debian, and a package elsewhere, which that system's own keys vouch for.
func (d debian) keyring(ctx context.Context) (string, error) {
	if _, err := os.Stat(archiveKeys); err == nil {
		return archiveKeys, nil
	}
	const pkg = "debian-archive-keyring"
	if err := run(ctx, d.dir, "apt-get", "download", pkg); err != nil {
		return "", err
	}
	at := filepath.Join(d.dir, "keyring")
	return filepath.Join(at, archiveKeys), d.unpack(ctx, pkg, at)
}

func (d debian) unpack(ctx context.Context, pkg, to string) error {
	found, err := filepath.Glob(filepath.Join(d.dir, pkg+"_*.deb"))
	if err != nil || len(found) != 1 {
		return fault.New(fault.NotFound, "%d files of package %s were fetched", len(found), pkg)
	}
	return run(ctx, d.dir, "dpkg-deb", "-x", found[0], to)
}

func (d debian) prepare() error {
	for _, dir := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(d.dir, dir), 0o755); err != nil {
			return fault.New(fault.Unavailable, "prepare to fetch pgvector: %w", err)
		}
	}
	list := fmt.Sprintf("deb [signed-by=%[1]s] %[2]s %[3]s main\ndeb-src [signed-by=%[1]s] %[2]s %[4]s main\n", d.keys, d.mirror, headerSuite, sourceSuite)
	if err := os.WriteFile(filepath.Join(d.dir, "sources.list"), []byte(list), 0o600); err != nil {
		return fault.New(fault.Unavailable, "prepare to fetch pgvector: %w", err)
	}
	return nil
}

func (d debian) apt(ctx context.Context, args ...string) error {
	options := []string{"-q"}
	for name, value := range map[string]string{
		"Dir::Etc::SourceList": filepath.Join(d.dir, "sources.list"), "Dir::Etc::SourceParts": "/dev/null",
		"Dir::State::Lists": filepath.Join(d.dir, "lists"), "Dir::Cache": filepath.Join(d.dir, "cache"),
		"APT::Sandbox::User": "root", "Acquire::Languages": "none", "Acquire::Retries": "1", "Acquire::http::Timeout": "10",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false", "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
		// A list that could not be fetched is an error here, not a warning: nothing else has it.
		"APT::Update::Error-Mode": "any",
	} {
		options = append(options, "-o", name+"="+value)
	}
	return run(ctx, d.dir, "apt-get", append(options, args...)...)
}

// run keeps the last words of a tool for its error.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(bytes.ToValidUTF8(out, []byte("?")))), "\n")
	return fault.New(fault.Unavailable, "%s: %w: %s", name, err, strings.Join(lines[max(0, len(lines)-3):], "; "))
}
