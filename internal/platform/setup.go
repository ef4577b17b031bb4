package platform

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// PulumiVersion is the engine this project is built and tested with; a newer one on PATH is used as it is.
const PulumiVersion = "v3.256.0"

// pulumiPackage is the Pulumi CLI, in a module that go.mod pins.
const pulumiPackage = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"

// SetupStep is one thing that set-up checks or makes.
type SetupStep struct {
	Name    string // "npm packages"
	Detail  string // a version
	Expects string // said before it starts: how long it takes, and why; empty when it is quick
	Missing string // why the step's thing is not there, when others can do without it
	Without string // what the thing lacks, and why
	Cached  bool
	Took    time.Duration
}

// SetupReport hears of a step before it starts (when it takes long), while it moves, and when it is done.
type SetupReport struct {
	Again bool // try again what failed a moment ago
	Begin func(SetupStep)
	Move  func(step SetupStep, done int)
	End   func(SetupStep)
}

// Setup installs and builds everything that the platform needs on this machine; what is there already is left alone.
func Setup(ctx context.Context, l Layout, r SetupReport) error {
	unlock, err := lockSetup(l)
	if err != nil {
		return err
	}
	defer unlock()
	for _, step := range []func(context.Context, Layout, SetupReport) error{checkGo, checkNode, installPackages, preparePostgres, buildPulumi, buildPrograms} {
		if err := step(ctx, l, r); err != nil {
			return err
		}
	}
	return nil
}

// lockSetup makes a second set-up of the same checkout wait for the first.
func lockSetup(l Layout) (unlock func(), err error) {
	if err := os.MkdirAll(l.Cache, 0o755); err != nil {
		return nil, fault.New(fault.Unavailable, "create the build cache: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(l.Cache, "setup.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "lock the set-up: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fault.New(fault.Unavailable, "lock the set-up: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func checkGo(ctx context.Context, _ Layout, r SetupReport) error {
	version, err := output(ctx, "go", "env", "GOVERSION")
	if err != nil {
		return fault.New(fault.NotFound, "go is not on PATH: %w", err).WithHint("install Go 1.26 or newer: https://go.dev/dl/")
	}
	r.End(SetupStep{Name: "go", Detail: strings.TrimPrefix(version, "go"), Cached: true})
	return nil
}

// minNode is the oldest Node.js that every pinned npm package runs on.
const minNode = 20

func checkNode(ctx context.Context, _ Layout, r SetupReport) error {
	version, err := output(ctx, "node", "--version")
	if err != nil {
		return fault.New(fault.NotFound, "node is not on PATH: %w", err).WithHint("install Node.js %d or newer", minNode)
	}
	version = strings.TrimPrefix(version, "v")
	major, err := strconv.Atoi(strings.SplitN(version, ".", 2)[0])
	if err != nil || major < minNode {
		return fault.New(fault.Unsupported, "node %s is too old", version).WithHint("install Node.js %d or newer", minNode)
	}
	r.End(SetupStep{Name: "node", Detail: version, Cached: true})
	return nil
}

// installPackages runs npm ci when the lock file is not the one that was installed last.
func installPackages(ctx context.Context, l Layout, r SetupReport) error {
	step := SetupStep{Name: "npm packages", Expects: "workerd, TypeScript and vitest: under a minute, once"}
	workers := filepath.Join(l.Root, "workers")
	lock, err := os.ReadFile(filepath.Join(workers, "package-lock.json"))
	if err != nil {
		return fault.New(fault.NotFound, "read the npm lock file: %w", err)
	}
	sum := sha256.Sum256(lock)
	stamp, want := filepath.Join(workers, "node_modules", ".installed"), hex.EncodeToString(sum[:])
	if have, err := os.ReadFile(stamp); err == nil && string(have) == want {
		step.Cached = true
		r.End(step)
		return nil
	}
	r.Begin(step)
	start := time.Now()
	if err := run(ctx, workers, nil, "npm", "ci", "--no-audit", "--no-fund"); err != nil {
		return fault.New(fault.Unavailable, "install the npm packages: %w", err).WithHint("the npm registry must be reachable the first time")
	}
	if err := os.WriteFile(stamp, []byte(want), 0o600); err != nil {
		return fault.New(fault.Unavailable, "remember what npm installed: %w", err)
	}
	step.Took = time.Since(start)
	r.End(step)
	return nil
}

// buildPrograms builds the stack's program and the plugins the engine starts.
func buildPrograms(ctx context.Context, l Layout, r SetupReport) error {
	step := SetupStep{Name: "programs", Expects: "the stack and its plugins: about 3 minutes the first time, most of it Pulumi's Cloudflare SDK"}
	if _, err := os.Stat(filepath.Join(l.Bin, "stacks")); err != nil {
		r.Begin(step)
	} else {
		step.Cached = true
	}
	start, done := time.Now(), 0
	count := func(string) { done++; r.Move(step, done) }
	for _, p := range [][2]string{
		{"stacks", "./stacks"},
		{"plugins/pulumi-resource-cognomega", "./cmd/pulumi-resource-cognomega"},
		{"standin/pulumi-resource-cloudflare", "./cmd/pulumi-resource-cloudflare"},
		{"langhost/pulumi-language-go", "./cmd/pulumi-language-go"},
	} {
		if err := run(ctx, l.Root, count, "go", "build", "-v", "-ldflags", "-s -w", "-o", filepath.Join(l.Bin, p[0]), p[1]); err != nil {
			return fault.New(fault.Invalid, "build %s: %w", p[1], err)
		}
	}
	step.Took = time.Since(start)
	r.End(step)
	return nil
}

// buildPulumi finds the engine, or builds the pinned one into the project's cache.
func buildPulumi(ctx context.Context, l Layout, r SetupReport) error {
	step := SetupStep{Name: "pulumi", Detail: strings.TrimPrefix(PulumiVersion, "v"), Expects: "built from source once: 2 to 8 minutes"}
	target := filepath.Join(l.Cache, "pulumi", PulumiVersion, "bin", "pulumi")
	if version, err := output(ctx, "pulumi", "version"); err == nil && atLeast(version, PulumiVersion) {
		step.Detail, step.Cached = strings.TrimPrefix(version, "v")+" on PATH", true
		r.End(step)
		return nil
	}
	if _, err := os.Stat(target); err == nil {
		step.Cached = true
		r.End(step)
		return nil
	}
	r.Begin(step)
	start, done := time.Now(), 0
	count := func(string) { done++; r.Move(step, done) }
	// Built aside and renamed: a set-up that is killed halfway must not leave half an engine behind.
	if err := run(ctx, l.Root, count, "go", "build", "-v", "-o", target+".new", "-ldflags",
		"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version="+PulumiVersion, pulumiPackage); err != nil {
		return fault.New(fault.Unavailable, "build pulumi: %w", err).WithHint("the Go module proxy must be reachable the first time")
	}
	if err := os.Rename(target+".new", target); err != nil {
		return fault.New(fault.Unavailable, "keep the built pulumi: %w", err)
	}
	step.Took = time.Since(start)
	r.End(step)
	return nil
}

// atLeast compares dotted versions number by number; an unreadable one is never enough.
func atLeast(have, want string) bool {
	h, w := strings.Split(strings.TrimPrefix(have, "v"), "."), strings.Split(strings.TrimPrefix(want, "v"), ".")
	for i := range w {
		if i >= len(h) {
			return false
		}
		a, errA := strconv.Atoi(h[i])
		b, errB := strconv.Atoi(w[i])
		if errA != nil || errB != nil || a < b {
			return false
		}
		if a > b {
			return true
		}
	}
	return true
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	return strings.TrimSpace(string(out)), err
}

// run runs a tool, hands on each line it writes, and keeps the last lines for the error.
func run(ctx context.Context, dir string, line func(string), name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-trimpath -buildvcs=false", "CGO_ENABLED=0")
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	tail := make(chan []string, 1)
	go func() {
		var last []string
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			if last = append(last, lines.Text()); len(last) > 15 {
				last = last[1:]
			}
			if line != nil {
				line(lines.Text())
			}
		}
		_, _ = io.Copy(io.Discard, reader) // a line too long for the scanner must not stall the tool
		tail <- last
	}()
	err := cmd.Run()
	_ = writer.Close()
	last := <-tail
	if err != nil {
		return fault.New(fault.Unavailable, "%s %s: %w\n%s", name, args[0], err, strings.Join(last, "\n"))
	}
	return nil
}
