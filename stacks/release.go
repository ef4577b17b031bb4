package main

import (
	"context"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/release"
	"github.com/cognomega/edge/stacks/bundle"
	"github.com/cognomega/edge/stacks/deploy"
	"github.com/cognomega/edge/stacks/platform"
)

// releaseVerb keeps what would be deployed, and deploys nothing.
const releaseVerb = "release"

// makeRelease bundles this checkout into a release below --out and says where it is.
func makeRelease(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("stacks release", flag.ContinueOnError)
	out := flags.String("out", "", "folder to keep the release in, under its digest")
	if err := flags.Parse(args); err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	if *out == "" || flags.NArg() > 0 {
		return fault.New(fault.Invalid, "say where to keep the release, and nothing else").WithHint("stacks release --out DIR")
	}
	c, err := contract.Load()
	if err != nil {
		return err
	}
	root, err := checkout()
	if err != nil {
		return err
	}
	in := release.Input{ContractDigest: c.Digest(), Main: bundle.CodeFile, Workers: map[string]map[string][]byte{}}
	if in.Contract, err = contract.Files(); err != nil {
		return fault.New(fault.Internal, "read the contract: %w", err)
	}
	results, err := bundleAll(ctx, root, slices.Sorted(maps.Keys(c.Workers)))
	if err != nil {
		return err
	}
	for _, b := range results {
		in.Workers[b.Worker] = map[string][]byte{bundle.CodeFile: b.Code, bundle.MapFile: b.Map}
	}
	kept, err := release.Keep(*out, in)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(deploy.Line{Type: "release", ID: kept.ID, Name: kept.Dir}); err != nil {
		return fault.New(fault.Unavailable, "report the release: %w", err)
	}
	return nil
}

// sources is where contract and bundles come from: this checkout, or a release as it was kept.
func (o options) sources() (*contract.Contract, sources, error) {
	if o.release == "" {
		c, err := contract.Load()
		return c, built, err
	}
	r, err := release.Open(o.release)
	if err != nil {
		return nil, nil, err
	}
	c, err := contract.LoadFS(r.ContractFS())
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "load the contract of release %.16s: %w", r.ID, err).WithHint("this program is newer or older than the release: use the one of its commit")
	}
	if c.Digest() != r.Contract {
		return nil, nil, fault.New(fault.Denied, "release %.16s says contract %.12s and holds %.12s", r.ID, r.Contract, c.Digest())
	}
	return c, kept(r), nil
}

// kept gives the bundles of a release from where it lies.
func kept(r release.Release) sources {
	return func(_ context.Context, workers []string) (map[string]platform.Bundle, error) {
		all := map[string]platform.Bundle{}
		for _, worker := range workers {
			b := platform.Bundle{MainModule: r.Main, Modules: map[string]platform.Module{}}
			for _, name := range r.Modules(worker) {
				b.Modules[name] = platform.Module{Path: filepath.Clean(r.Path(worker, name))}
			}
			if len(b.Modules) == 0 {
				return nil, fault.New(fault.Invalid, "release %.16s has no bundle of Worker %s", r.ID, worker)
			}
			all[worker] = b
		}
		return all, nil
	}
}
