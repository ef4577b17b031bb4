// Package localpg runs a native PostgreSQL server in a folder of this machine, as any user or as root, without an account or a container.
package localpg

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Binaries is an installed server: bin/, lib/ and share/ below one folder.
type Binaries struct{ dir string }

// FindBinaries is the server that npm installed for this machine below a node_modules folder.
func FindBinaries(nodeModules string) (Binaries, error) {
	name, ok := map[string]string{
		"linux/amd64": "linux-x64", "linux/arm64": "linux-arm64", "darwin/amd64": "darwin-x64", "darwin/arm64": "darwin-arm64",
	}[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return Binaries{}, fault.New(fault.Unsupported, "there is no PostgreSQL build for %s/%s", runtime.GOOS, runtime.GOARCH).WithHint("set DATABASE_URL to a server of your own")
	}
	pkg, err := filepath.Abs(filepath.Join(nodeModules, "@embedded-postgres", name))
	if err != nil {
		return Binaries{}, fault.New(fault.Invalid, "folder %s: %w", nodeModules, err)
	}
	b := Binaries{dir: filepath.Join(pkg, "native")}
	for _, program := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(b.program(program)); err != nil {
			return Binaries{}, fault.New(fault.NotFound, "PostgreSQL is not installed: %w", err).WithHint("make setup, or set DATABASE_URL to a server of your own")
		}
	}
	return b, b.link(pkg)
}

// Dir is the folder that holds the server's bin, lib and share.
func (b Binaries) Dir() string { return b.dir }

// Program is the path of one of the server's programs.
func (b Binaries) Program(name string) string { return b.program(name) }

func (b Binaries) program(name string) string { return filepath.Join(b.dir, "bin", name) }

// link makes the libraries' version links. npm packages cannot hold links; theirs come from an install script, which npm may not run.
func (b Binaries) link(pkg string) error {
	raw, err := os.ReadFile(filepath.Join(b.dir, "pg-symlinks.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.New(fault.Unavailable, "read PostgreSQL's list of links: %w", err)
	}
	links, err := parseLinks(raw)
	if err != nil {
		return err
	}
	for _, l := range links {
		target := filepath.Join(pkg, l.Target)
		source, err := filepath.Rel(filepath.Dir(target), filepath.Join(pkg, l.Source))
		if err != nil {
			return fault.New(fault.Invalid, "link %s: %w", l.Target, err)
		}
		if err := os.Symlink(source, target); err != nil && !errors.Is(err, fs.ErrExist) {
			return fault.New(fault.Unavailable, "link PostgreSQL's libraries: %w", err)
		}
	}
	return nil
}

type libraryLink struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// parseLinks refuses paths that leave the package: the list came from a registry.
func parseLinks(raw []byte) ([]libraryLink, error) {
	var links []libraryLink
	if err := json.Unmarshal(raw, &links); err != nil {
		return nil, fault.New(fault.Invalid, "PostgreSQL's list of links: %w", err)
	}
	for _, l := range links {
		for _, p := range []string{l.Source, l.Target} {
			if !filepath.IsLocal(p) || !strings.HasPrefix(filepath.ToSlash(filepath.Clean(p)), "native/") {
				return nil, fault.New(fault.Invalid, "PostgreSQL's list of links names %q, outside its folder", p)
			}
		}
	}
	return links, nil
}
