// Package platform joins the parts into what a person starts: the tools, the local cloud, the stack and the keys of one environment.
package platform

import (
	"os"
	"path/filepath"
	"runtime"

	"github.com/cognomega/edge/internal/fault"
)

// Layout is where the project keeps what it builds and what it remembers.
type Layout struct {
	Root   string // the checkout
	Bin    string // built programs and plugins
	Cache  string // what takes long to build and is kept
	Local  string // the local cloud's folder
	Proofs string // evidence
}

// FindLayout walks up from start to the checkout; localDir overrides where the local cloud lives.
func FindLayout(start, localDir string) (Layout, error) {
	dir, err := filepath.Abs(start)
	if err != nil {
		return Layout{}, fault.New(fault.Invalid, "folder %s: %w", start, err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if isRoot(at) {
			return layoutAt(at, localDir), nil
		}
		if at == filepath.Dir(at) {
			return Layout{}, fault.New(fault.NotFound, "%s is not inside a checkout of the project", dir).WithHint("run it in the folder that holds stacks/ and contract/")
		}
	}
}

func isRoot(dir string) bool {
	for _, name := range []string{"go.mod", "stacks/Pulumi.yaml", "contract"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

func layoutAt(root, localDir string) Layout {
	if localDir == "" {
		localDir = filepath.Join(root, ".local")
	} else if abs, err := filepath.Abs(localDir); err == nil {
		localDir = abs
	}
	return Layout{
		Root: root, Bin: filepath.Join(root, "bin"), Cache: filepath.Join(root, ".cache"),
		Local: localDir, Proofs: filepath.Join(root, "proofs"),
	}
}

// Workerd is the pinned workerd binary that npm installed for this machine.
func (l Layout) Workerd() (string, error) {
	arch, ok := map[string]string{
		"linux/amd64": "linux-64", "linux/arm64": "linux-arm64", "darwin/amd64": "darwin-64", "darwin/arm64": "darwin-arm64",
	}[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fault.New(fault.Unsupported, "workerd has no build for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	path := filepath.Join(l.Root, "workers", "node_modules", "@cloudflare", "workerd-"+arch, "bin", "workerd")
	if _, err := os.Stat(path); err != nil {
		return "", fault.New(fault.NotFound, "workerd is not installed").WithHint("make setup")
	}
	return path, nil
}
