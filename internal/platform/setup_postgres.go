package platform

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localpg"
	"github.com/cognomega/edge/internal/localpg/pgvector"
)

// preparePostgres looks for the database's programs, and gives them pgvector where it can be built. Neither keeps anybody from
// working: without the programs DATABASE_URL names a database, and without the extension everything but embeddings works.
func preparePostgres(ctx context.Context, l Layout, r SetupReport) error {
	step := SetupStep{Name: "postgres", Cached: true}
	binaries, version, missing := findPostgres(ctx, l)
	if missing != nil {
		step.Missing = missing.Error()
		r.End(step)
		return nil //nolint:nilerr // it is said, and nobody is kept from working
	}
	step.Detail = version
	return prepareVector(ctx, l, r, step, binaries)
}

func findPostgres(ctx context.Context, l Layout) (b localpg.Binaries, version string, err error) {
	if b, err = localpg.FindBinaries(filepath.Join(l.Root, "workers", "node_modules")); err != nil {
		return b, "", err
	}
	if version, err = output(ctx, b.Program("postgres"), "--version"); err != nil {
		return b, "", fault.New(fault.Unsupported, "the server does not run here: %w", err)
	}
	return b, strings.TrimPrefix(version, "postgres (PostgreSQL) "), nil
}

func prepareVector(ctx context.Context, l Layout, r SetupReport, step SetupStep, binaries localpg.Binaries) error {
	b := pgvector.Builder{Native: binaries.Dir(), Cache: l.Cache, Again: r.Again, Now: time.Now}
	err := b.Wanting()
	start := time.Now()
	switch {
	case b.Installed():
		err = nil
	case b.Built():
		err = b.Install()
	case err == nil:
		step.Expects, step.Cached = "pgvector is fetched and compiled: a minute, once", false
		r.Begin(step)
		if err = b.Build(ctx); err == nil {
			err = b.Install()
		}
		step.Took = time.Since(start)
	}
	if ctx.Err() != nil {
		return fault.New(fault.Unavailable, "build pgvector: %w", ctx.Err())
	}
	if err != nil {
		step.Without = "no pgvector: " + err.Error()
	} else {
		step.Detail += " + pgvector " + pgvector.Version
	}
	r.End(step)
	return nil
}
