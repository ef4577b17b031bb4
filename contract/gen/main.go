// Command gen writes what the Workers' TypeScript knows of the contract: go run ./contract/gen, or -verify to fail on a stale file.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/cognomega/edge/contract"
)

func main() {
	verify := flag.Bool("verify", false, "write nothing; fail when a generated file is stale")
	root := flag.String("root", "", "root of the repository (default: the folder of go.mod, upwards from here)")
	flag.Parse()
	if err := run(*root, *verify); err != nil {
		fmt.Fprintln(os.Stderr, "contract/gen:", err)
		os.Exit(1)
	}
}

func run(root string, verify bool) error {
	if root == "" {
		found, err := moduleRoot()
		if err != nil {
			return err
		}
		root = found
	}
	c, err := contract.Load()
	if err != nil {
		return err
	}
	stale, err := staleFiles(root, c)
	if err != nil || len(stale) == 0 {
		return err
	}
	if verify {
		return fmt.Errorf("stale, run go run ./contract/gen: %v", names(stale))
	}
	return write(root, stale)
}

// change is a generated file that is not as it should be; nil want means it should not be there.
type change struct {
	path string // from the root, with slashes
	want []byte
}

func staleFiles(root string, c *contract.Contract) ([]change, error) {
	want := outputs(c)
	have, err := filepath.Glob(filepath.Join(root, "workers", "*", "src", "env.gen.d.ts"))
	if err != nil {
		return nil, err
	}
	var stale []change
	for _, path := range have {
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(want, func(o change) bool { return o.path == filepath.ToSlash(rel) }) {
			stale = append(stale, change{path: filepath.ToSlash(rel)})
		}
	}
	for _, o := range want {
		raw, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(o.path)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || !bytes.Equal(raw, o.want) {
			stale = append(stale, o)
		}
	}
	return stale, nil
}

func write(root string, stale []change) error {
	for _, f := range stale {
		path := filepath.Join(root, filepath.FromSlash(f.path))
		if f.want == nil {
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.want, 0o644); err != nil {
			return err
		}
		fmt.Println("wrote", f.path)
	}
	return nil
}

func names(files []change) []string {
	var paths []string
	for _, f := range files {
		paths = append(paths, f.path)
	}
	return paths
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod upwards from here; give -root")
		}
		dir = parent
	}
}
