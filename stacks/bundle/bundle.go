// Package bundle makes a Worker's TypeScript into the one ES module that is deployed, with its source map.
package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/google/renameio/v2"

	"github.com/cognomega/edge/internal/fault"
)

// Names of the two modules of an upload; the code's last line points at the map.
const (
	CodeFile = "worker.js"
	MapFile  = CodeFile + ".map"
)

// Result is a bundled Worker. The same sources give the same bytes in whichever folder the clone is.
type Result struct {
	Worker string
	Code   []byte
	Map    []byte
	Digest string // hex SHA-256 over code and map
	Size   int    // of the code, in bytes
}

// Build bundles workers/<worker>/src/worker.ts of the repository at root. TypeScript is not type-checked here: `npm run typecheck` is.
func Build(ctx context.Context, root, worker string) (Result, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return Result{}, fault.New(fault.Internal, "bundle %s: %w", worker, err)
	}
	entry := "workers/" + worker + "/src/worker.ts"
	if err := ready(root, worker, entry); err != nil {
		return Result{}, err
	}
	built, err := run(ctx, options(root, worker, entry))
	if err != nil {
		return Result{}, fault.New(fault.Unavailable, "bundle %s: %w", worker, err)
	}
	if len(built.Errors) > 0 {
		return Result{}, fault.New(fault.Invalid, "bundle %s:\n%s", worker, describe(built.Errors)).WithHint("fix the lines named, then run again")
	}
	if err := ownCodeOnly(worker, built.Metafile); err != nil {
		return Result{}, err
	}
	return result(worker, built.OutputFiles)
}

// ready finds the two usual reasons for a build to fail, and says what to do about each.
func ready(root, worker, entry string) error {
	if worker == "" || strings.ContainsAny(worker, `/\.`) {
		return fault.New(fault.Invalid, "bundle %q: that is no Worker's name", worker)
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(entry))); errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "bundle %s: there is no %s", worker, entry)
	}
	if _, err := os.Stat(filepath.Join(root, "workers", "node_modules")); errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "bundle %s: workers/node_modules is not there", worker).WithHint("npm ci --prefix workers")
	}
	return nil
}

func options(root, worker, entry string) api.BuildOptions {
	return api.BuildOptions{
		AbsWorkingDir: root,
		EntryPoints:   []string{entry},
		Outfile:       ".cache/bundles/" + worker + "/" + CodeFile,
		Bundle:        true,
		Write:         false,
		Metafile:      true,
		Format:        api.FormatESModule,
		Platform:      api.PlatformNeutral,
		Target:        api.ES2024,
		Charset:       api.CharsetUTF8,
		MainFields:    []string{"module", "main"},
		Conditions:    []string{"workerd", "worker", "browser"},
		External:      []string{"node:*", "cloudflare:*", "pg-native"},
		Plugins:       []api.Plugin{nodeModules()},
		Sourcemap:     api.SourceMapLinked,
		Define:        map[string]string{"process.env.NODE_ENV": `"production"`},
		// A tsconfig.json or a symbolic link of one machine must not change the bytes.
		TsconfigRaw:      `{}`,
		PreserveSymlinks: true,
		LogLevel:         api.LogLevelSilent,
	}
}

// run builds until ctx is done.
func run(ctx context.Context, o api.BuildOptions) (api.BuildResult, error) {
	build, ctxErr := api.Context(o)
	if ctxErr != nil {
		return api.BuildResult{Errors: ctxErr.Errors}, nil
	}
	defer build.Dispose()
	stop := context.AfterFunc(ctx, build.Cancel)
	defer stop()
	built := build.Rebuild()
	return built, ctx.Err()
}

func result(worker string, files []api.OutputFile) (Result, error) {
	r := Result{Worker: worker}
	for _, f := range files {
		switch filepath.Base(f.Path) {
		case CodeFile:
			r.Code = f.Contents
		case MapFile:
			r.Map = f.Contents
		default:
			return Result{}, fault.New(fault.Internal, "bundle %s: esbuild made a file nobody asked for: %s", worker, f.Path)
		}
	}
	if len(r.Code) == 0 || len(r.Map) == 0 {
		return Result{}, fault.New(fault.Internal, "bundle %s: esbuild gave no code or no source map", worker)
	}
	sum := sha256.New()
	sum.Write(r.Code)
	sum.Write([]byte{0}) // JavaScript has no NUL, so code and map cannot run into each other
	sum.Write(r.Map)
	r.Digest, r.Size = hex.EncodeToString(sum.Sum(nil)), len(r.Code)
	return r, nil
}

// Write leaves the bundle under root's .cache/bundles/<worker>/ and says where the code is.
func (r Result) Write(root string) (string, error) {
	dir := filepath.Join(root, ".cache", "bundles", r.Worker)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fault.New(fault.Unavailable, "write bundle of %s: %w", r.Worker, err)
	}
	// The map first: code on disk always has a map that fits or is newer, never none.
	for _, f := range []struct {
		name string
		data []byte
	}{{MapFile, r.Map}, {CodeFile, r.Code}} {
		if err := renameio.WriteFile(filepath.Join(dir, f.name), f.data, 0o644); err != nil {
			return "", fault.New(fault.Unavailable, "write bundle of %s: %w", r.Worker, err)
		}
	}
	return filepath.Join(dir, CodeFile), nil
}
