// Package cli is the command tree of cogctl: every command parses flags, runs one function and renders what it returns.
package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// exitInterrupted is what shells report for a program that SIGINT ended.
const exitInterrupted = 130

// Main is the whole program: it reads the process's arguments and returns its exit code.
func Main(version string) int {
	keepInheritedFiles()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := NewDeps(version)
	d.withhold(evidenceKeyEnv)
	d.withhold(idTokenEnv)
	return Run(ctx, d, os.Args[1:])
}

// Run parses args, runs the command and shows its error, if any.
func Run(ctx context.Context, d *Deps, args []string) int {
	root := NewRoot(d) //nolint:contextcheck // commands take cobra's context
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	d.close()
	if err == nil {
		return fault.ExitOK
	}
	if !d.parsed {
		err = usage(cmd, err)
	}
	d.Term.Error(err)
	if errors.Is(ctx.Err(), context.Canceled) {
		return exitInterrupted
	}
	return fault.ExitCode(err)
}

// usage marks what cobra found wrong with the arguments: its own errors have no kind.
func usage(cmd *cobra.Command, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	return fault.New(fault.Invalid, "%w", err).WithHint("%s --help", cmd.CommandPath())
}

// section is a group of commands by who asks for them.
type section struct {
	id, title string
	commands  []*cobra.Command
}

// NewRoot builds the command tree.
func NewRoot(d *Deps) *cobra.Command {
	sections := []section{
		{"operate", "Operate the platform", []*cobra.Command{newUp(d), newDown(d), newStatus(d), newProviders(d), newFiles(d), newTenants(d), newLocal(d), newDB(d), newAdmin(d)}},
		{"money", "Follow the money", []*cobra.Command{newCredits(d), newLimits(d), newUsage(d), newLedger(d), newQueues(d), newReconcile(d)}},
		{"release", "Release a change", []*cobra.Command{newPreview(d), newProve(d), newSLO(d), newGate(d), newPromote(d), newVerify(d), newKeys(d)}},
		{"inspect", "Inspect what is live", []*cobra.Command{newReport(d), newAudit(d), newEnv(d), newPolicy(d), newPreflight(d), newJWKS(d), newToken(d)}},
		{"develop", "Develop", []*cobra.Command{newContract(d), newSchema(d), newSetup(d), newDoctor(d), newCompletion(d), newVersion(d)}},
	}
	root := &cobra.Command{
		Use: "cogctl", Short: "Provision, serve, prove and inspect the platform",
		Example:       "  cogctl up                       # the whole platform on this machine\n  cogctl audit routes --env production",
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return d.start(cmd)
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	d.flags(root)
	for _, s := range sections {
		root.AddGroup(&cobra.Group{ID: s.id, Title: s.title})
		for _, c := range s.commands {
			c.GroupID = s.id
			root.AddCommand(c)
		}
	}
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help-command"})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { help(d.Term.Out(), cmd, sections) })
	return root
}

// newGroup is a noun: alone it shows its verbs, and an unknown verb is an error rather than help with exit code 0.
func newGroup(use, short, example string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(verbs...)
	return cmd
}

// flags defines the flags that every command has.
func (d *Deps) flags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVarP(&d.Output, "output", "o", "table", "shape of the result: table, json or markdown")
	f.StringVarP(&d.Env, "env", "e", d.defaultEnv(), "environment of the contract")
	f.DurationVar(&d.timeout, "timeout", 0, "give up after this long, such as 30s or 5m (0: as long as it takes)")
	f.StringVar(&d.color, "color", "auto", "auto, always or never")
	f.StringVar(&d.LocalDir, "dir", d.Getenv("COGCTL_LOCAL_DIR"), "folder of the local cloud (default .local in the checkout)")
	must(root.RegisterFlagCompletionFunc("output", fixed("table", "json", "markdown")))
	must(root.RegisterFlagCompletionFunc("color", fixed("auto", "always", "never")))
	must(root.RegisterFlagCompletionFunc("env", d.completeEnv))
	must(root.MarkPersistentFlagDirname("dir"))
}

// start applies the flags, once arguments are known to be right: an error from here on is the command's, not the caller's.
func (d *Deps) start(cmd *cobra.Command) error {
	if err := d.Term.SetFormat(d.Output); err != nil {
		return err
	}
	if err := d.Term.SetColor(d.color); err != nil {
		return err
	}
	// cobra looks at these only after this hook, when an error would no longer be taken for the caller's.
	if err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
		return err
	}
	d.parsed, d.envGiven = true, cmd.Flags().Changed("env")
	cmd.SetContext(cfapi.WithWaiting(cmd.Context(), d.waiting()))
	if d.timeout < 0 {
		return fault.New(fault.Invalid, "--timeout %s is in the past", d.timeout)
	}
	if d.timeout > 0 {
		ctx, cancel := context.WithTimeout(cmd.Context(), d.timeout) //nolint:gosec // called by close, when the command has ended
		d.cleanup = append(d.cleanup, cancel)
		cmd.SetContext(ctx)
	}
	return nil
}

func (d *Deps) close() {
	for _, c := range d.cleanup {
		c()
	}
	d.cleanup = nil
}

// must is for registrations that can only fail by a mistake in this program, which the first test would meet.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// now is the time in UTC.
func (d *Deps) now() time.Time { return d.Now().UTC() }
