package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud"
	"github.com/cognomega/edge/internal/localcloud/runtime"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

func newLocal(d *Deps) *cobra.Command {
	return newGroup("local", "The Cloudflare account on this machine", "  cogctl local start\n  cogctl local logs cognomega-api",
		newLocalStart(d), newLocalStop(d), newLocalStatus(d), newLocalLogs(d), newLocalReset(d), newLocalServe(d), newLocalFaults(d), newLocalTurnstile(d))
}

type localStartResult struct {
	Started   bool                 `json:"started"`
	Endpoints localcloud.Endpoints `json:"endpoints"`
}

func newLocalStart(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "start", Short: "Start the local cloud in the background", Args: cobra.NoArgs,
		Example: "  cogctl local start\n  cogctl local start --dir /tmp/another-account",
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := d.layout()
			if err != nil {
				return err
			}
			progress := d.Term.Progress("local   starting")
			e, started, err := platform.StartLocal(cmd.Context(), l, maxLogBytes)
			progress.Stop()
			if err != nil {
				return err
			}
			word := "already running"
			if started {
				word = "started"
			}
			blocks := append([]term.Block{term.Headline(term.Pass, "local cloud "+word)}, endpointFacts(e))
			return d.Term.Print(term.Report{Schema: "cogctl/local.start/v1", Data: localStartResult{started, e}, Blocks: blocks})
		},
	}
}

func endpointFacts(e localcloud.Endpoints) term.Facts {
	zones := make([]string, 0, len(e.Zones))
	for _, z := range e.Zones {
		zones = append(zones, z.Name+" ("+z.ID+")")
	}
	return term.Facts{
		{Name: "account", Value: term.T(e.AccountName + " (" + e.AccountID + ")")},
		{Name: "zones", Value: term.T(strings.Join(zones, ", "))},
		{Name: "api", Value: term.T(e.APIHTTPS + "  " + e.APIHTTP)},
		{Name: "edge", Value: term.T("https " + e.EdgeHTTPS + "  http " + e.EdgeHTTP)},
		{Name: "ca", Value: term.T(relative(e.CAFile))},
		{Name: "token", Value: term.T(relative(e.TokenFile))},
		{Name: "pid", Value: term.T(fmt.Sprint(e.PID))},
	}
}

// relative shortens a path below the working folder, as a person would type it.
func relative(path string) string {
	at, err := os.Getwd()
	if err != nil {
		return path
	}
	short, err := filepath.Rel(at, path)
	if err != nil || strings.HasPrefix(short, "..") {
		return path
	}
	return short
}

func newLocalStop(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "Stop the local cloud, and not the database; its data stays", Args: cobra.NoArgs, Example: "  cogctl local stop",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runDown(cmd.Context(), d, downOptions{cloudAlone: true})
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/local.stop/v1", Data: result, Blocks: downBlocks(result)})
		},
	}
}

type logsResult struct {
	Worker string         `json:"worker"`
	Lines  []runtime.Line `json:"lines"`
}

func newLocalLogs(d *Deps) *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use: "logs <worker>", Short: "Show what a Worker wrote last", Args: cobra.ExactArgs(1), ValidArgsFunction: d.completeWorker,
		Example: "  cogctl local logs cognomega-api -n 50",
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 1 {
				return fault.New(fault.Invalid, "-n %d: want at least one line", n)
			}
			l, err := d.layout()
			if err != nil {
				return err
			}
			lines, err := platform.LogsLocal(cmd.Context(), l, args[0], n)
			if err != nil {
				return err
			}
			if len(lines) == 0 {
				d.Term.Note(term.DimText(args[0] + " has written nothing since its process started"))
			}
			blocks := make([]term.Block, 0, len(lines))
			for _, line := range lines {
				blocks = append(blocks, term.Line{term.DimText(line.Time.Format("15:04:05.000 ")), term.T(line.Text)})
			}
			return d.Term.Print(term.Report{Schema: "cogctl/local.logs/v1", Data: logsResult{args[0], append([]runtime.Line{}, lines...)}, Blocks: blocks})
		},
	}
	cmd.Flags().IntVarP(&n, "lines", "n", 100, "how many lines")
	return cmd
}

func newLocalReset(d *Deps) *cobra.Command {
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use: "reset", Short: "Forget the local account: all of its folder but the evidence keys", Args: cobra.NoArgs,
		Long:    "Forget the local account: resources, KV, queues, buckets, keys and the stack's state. It refuses while the local cloud runs, and asks for the account's name unless --yes is given.",
		Example: "  cogctl down && cogctl local reset",
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := d.layout()
			if err != nil {
				return err
			}
			if err := confirmReset(cmd.Context(), d, l, yes || dryRun); err != nil {
				return err
			}
			word := "would be removed, but for the evidence keys"
			if !dryRun {
				word = "is removed, but for the evidence keys"
				if err := platform.ResetLocal(cmd.Context(), l); err != nil {
					return err
				}
			}
			return d.Term.Print(term.Report{
				Schema: "cogctl/local.reset/v1", Data: map[string]any{"dir": l.Local, "dry_run": dryRun},
				Blocks: []term.Block{term.Line{term.T(relative(l.Local) + " " + word)}},
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed, and remove nothing")
	return cmd
}

// confirmReset makes a person type the account's name: what is removed cannot be had back.
func confirmReset(ctx context.Context, d *Deps, l platform.Layout, yes bool) error {
	if _, err := platform.RunningLocal(ctx, l); err == nil {
		return fault.New(fault.Conflict, "the local cloud is running").WithHint("cogctl local stop")
	}
	if yes {
		return nil
	}
	return d.Term.Confirm("This removes the local account and everything in it.", "cognomega-local")
}

// newLocalServe is what `local start` runs in the background; by hand it is the local cloud in the foreground.
func newLocalServe(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run the local cloud in the foreground, logging to stderr", Args: cobra.NoArgs, Example: "  cogctl local serve",
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := d.layout()
			if err != nil {
				return err
			}
			c, err := d.Contract()
			if err != nil {
				return err
			}
			decl, ok := c.Envs[platform.Local]
			if !ok {
				return fault.New(fault.Invalid, "the contract declares no environment %q", platform.Local)
			}
			cfg, err := platform.LocalConfig(l, []string{decl.Zone})
			if err != nil {
				return err
			}
			if err := platform.ServeLocal(cmd.Context(), cfg, d.Term.Err()); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		},
	}
}
