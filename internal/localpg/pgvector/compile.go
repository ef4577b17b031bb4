package pgvector

import (
	"context"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/internal/fault"
)

// flags let the compiler vectorise the distance functions for every processor of the last ten years; -march=native would build
// something that the next machine cannot run.
func flags() []string {
	f := []string{"-O2", "-ftree-vectorize", "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno", "-fPIC", "-w"}
	if runtime.GOARCH == "amd64" {
		f = append(f, "-march=x86-64-v2")
	}
	return f
}

// compile builds the extension's files into a folder of their own.
func compile(ctx context.Context, s sources, work string) (made string, err error) {
	files, err := filepath.Glob(filepath.Join(s.pgvector, "src", "*.c"))
	if err != nil || len(files) == 0 {
		return "", fault.New(fault.NotFound, "pgvector %s has no sources", Version)
	}
	include := filepath.Join(s.headers, "usr", "include", "postgresql")
	made = filepath.Join(work, "made")
	if err := os.MkdirAll(made, 0o755); err != nil {
		return "", fault.New(fault.Unavailable, "build pgvector: %w", err)
	}
	objects := make([]string, len(files))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, runtime.NumCPU()))
	for i, file := range files {
		objects[i] = filepath.Join(work, filepath.Base(file)+".o")
		args := append(flags(), "-I"+filepath.Join(include, Major, "server"), "-I"+filepath.Join(include, "internal"), "-c", file, "-o", objects[i])
		g.Go(func() error { return run(gctx, work, "gcc", args...) })
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	if err := run(ctx, work, "gcc", append([]string{"-shared", "-o", filepath.Join(made, "vector.so")}, objects...)...); err != nil {
		return "", err
	}
	for from, to := range map[string]string{"vector.control": "vector.control", "sql/vector.sql": "vector--" + Version + ".sql"} {
		if err := copyFile(filepath.Join(s.pgvector, from), filepath.Join(made, to)); err != nil {
			return "", err
		}
	}
	return made, nil
}
