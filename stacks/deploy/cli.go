package deploy

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"github.com/cognomega/edge/internal/fault"
)

// PulumiVersion is the oldest CLI that this program has been run with, and the one that `make setup` builds.
const PulumiVersion = "3.256.0"

// FindPulumi looks for a CLI that is new enough: the one PULUMI_BIN names, the one on PATH, the one in the project's cache.
func FindPulumi(root string, getenv func(string) string) (auto.PulumiCommand, error) {
	var tried []error
	for _, bin := range candidates(root, getenv) {
		cmd, err := commandAt(bin)
		if err == nil {
			return cmd, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			tried = append(tried, err)
		}
	}
	err := fault.New(fault.NotFound, "no Pulumi CLI of version %s or newer is installed", PulumiVersion)
	if len(tried) > 0 {
		err = fault.New(fault.NotFound, "find a usable Pulumi CLI: %w", errors.Join(tried...))
	}
	return nil, err.WithHint("make setup builds it into .cache/ (some minutes, once); or install it from pulumi.com")
}

func candidates(root string, getenv func(string) string) []string {
	var list []string
	if bin := getenv("PULUMI_BIN"); bin != "" {
		return []string{bin}
	}
	if bin, err := exec.LookPath("pulumi"); err == nil {
		list = append(list, bin)
	}
	return append(list, filepath.Join(root, ".cache", "pulumi", "v"+PulumiVersion, "bin", "pulumi"))
}

// commandAt wants the binary to be called pulumi and to stand in a folder called bin, which is how the Automation API finds it;
// any other is reached through a link of that shape.
func commandAt(bin string) (auto.PulumiCommand, error) {
	if runtime.GOOS == "windows" {
		return nil, fault.New(fault.Unsupported, "Windows is not supported")
	}
	bin, err := filepath.Abs(bin)
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		return nil, err
	}
	if filepath.Base(bin) != "pulumi" || filepath.Base(filepath.Dir(bin)) != "bin" {
		return nil, fault.New(fault.Invalid, "%s is not of the form .../bin/pulumi", bin)
	}
	cmd, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{
		Root: filepath.Dir(filepath.Dir(bin)), Version: semver.MustParse(PulumiVersion),
	})
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", bin, err)
	}
	return cmd, nil
}
