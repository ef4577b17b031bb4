package platform

import (
	"context"
	"path/filepath"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/release"
)

// ReleasesDir is where releases are kept: with the evidence, since a rollback needs both.
func ReleasesDir(proofs string) string { return filepath.Join(proofs, "releases") }

// MakeRelease bundles the checkout into a release below dir. The same sources give the same release.
func MakeRelease(ctx context.Context, l Layout, dir string) (release.Release, error) {
	var at string
	run := StackRun{Layout: l, Verb: "release", Args: []string{"--out", dir}}
	err := run.Run(ctx, func(e StackEvent) {
		if e.Type == "release" {
			at = e.Name
		}
	})
	if err != nil {
		return release.Release{}, err
	}
	if at == "" {
		return release.Release{}, fault.New(fault.Internal, "the stacks program said nothing of the release it made")
	}
	return release.Open(at)
}
