package cli

import (
	"context"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

// localEnv is the environment that runs on this machine.
const localEnv = "local"

// Deps is what commands are given; nothing in it costs anything until it is called.
type Deps struct {
	Version  string
	Term     *term.Term
	Now      func() time.Time
	Sleep    func(context.Context, time.Duration) error
	Getenv   func(string) string
	WorkDir  string // where the checkout is looked for
	Contract func() (*contract.Contract, error)
	// Target resolves an environment into something to look at; it may need the local cloud to run.
	Target func(ctx context.Context, env string) (*audit.Target, error)
	// Outside reaches what is neither the account nor the platform, such as the issuer of a run's OpenID token.
	Outside func() *http.Client

	Env, LocalDir, Output string // --env, --dir, --output

	timeout  time.Duration
	color    string
	parsed   bool
	envGiven bool // --env was on the command line
	cleanup  []func()
}

// NewDeps joins the program to its process, in the order in which later fields need earlier ones.
func NewDeps(version string) *Deps {
	d := &Deps{Version: version, Now: time.Now, Sleep: sleep, Getenv: os.Getenv, WorkDir: "."}
	d.Term = term.System(d.Getenv)
	d.Contract = sync.OnceValues(loadContract)
	d.Target = d.resolve
	d.Outside = platform.Outside
	return d
}

// sleep waits, and ends early with the context.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// withhold takes a secret out of the process's environment, so that no child inherits it.
func (d *Deps) withhold(name string) {
	value, getenv := d.Getenv(name), d.Getenv
	_ = os.Unsetenv(name)
	d.Getenv = func(asked string) string {
		if asked == name {
			return value
		}
		return getenv(asked)
	}
}

func loadContract() (*contract.Contract, error) {
	c, err := contract.Load()
	if err != nil {
		return nil, fault.New(fault.Invalid, "load the contract: %w", err).WithHint("make verify")
	}
	return c, nil
}

func (d *Deps) defaultEnv() string {
	if env := d.Getenv("COGCTL_ENV"); env != "" {
		return env
	}
	return localEnv
}

// completeEnv offers the environments of the contract.
func (d *Deps) completeEnv(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	c, err := d.Contract()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return sortedKeys(c.Envs), cobra.ShellCompDirectiveNoFileComp
}

// completeWorker offers the Workers of the contract.
func (d *Deps) completeWorker(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := d.Contract()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sortedKeys(c.Workers), cobra.ShellCompDirectiveNoFileComp
}

func fixed(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}
