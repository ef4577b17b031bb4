package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/term"
)

func newEnvSnapshot(d *Deps) *cobra.Command {
	var out string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "snapshot", Short: "Keep what the environment consists of in a file", Args: cobra.NoArgs,
		Long: "Keep what the environment consists of in a file: every Worker with its bindings, variables, names of secrets, switches, cron triggers and Durable Object classes; " +
			"routes, custom domains, the DNS records of the hostname, KV namespaces, queues with their consumers, R2 buckets with their lifecycle, Hyperdrive configurations.\n\n" +
			"No secret's value is in it: the API does not give them out, and what looks like a credential in a plain variable is scrubbed. The same account gives the same digest.\n\n" +
			"What the Workers see of their own environment (/api/admin/env-snapshot) is kept beside it; without the admin key (COGCTL_ADMIN_KEY), or an answer, the field inside says why not.\n\n" +
			"The token needs to read Workers Scripts and Zone; and Workers Routes, DNS, Workers KV Storage, Queues, Workers R2 Storage and Hyperdrive, without which that section is not seen (exit 4).",
		Example: "  cogctl env snapshot\n  cogctl env snapshot --env production --out before.json\n  cogctl env snapshot --out - | jq .content.workers",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := d.live(cmd.Context(), d.Env)
			if err != nil {
				return err
			}
			if out == "-" {
				return writeSnapshot(d, s)
			}
			file, err := keepSnapshot(d, s, out, dryRun)
			if err != nil {
				return err
			}
			if err := d.Term.Print(snapshotReport(s, file)); err != nil {
				return err
			}
			return sightOf(s).Err()
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write, - for stdout (default: one named after the time, in snapshots/)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "look, and keep nothing")
	return cmd
}

// live takes a snapshot of an environment's account.
func (d *Deps) live(ctx context.Context, env string) (*snapshot.Snapshot, error) {
	t, err := d.Target(ctx, env)
	if err != nil {
		return nil, err
	}
	if env != d.Env { // the admin key is that of --env, and no other platform may see it
		other := *t
		other.AdminKey, t = nil, &other
	}
	progress := d.Term.Progress("reading what " + t.Env + " consists of")
	defer progress.Stop()
	return snapshot.Collect(ctx, t)
}

func writeSnapshot(d *Deps, s *snapshot.Snapshot) error {
	raw, err := s.Encode()
	if err != nil {
		return err
	}
	if _, err := d.Term.Out().Write(raw); err != nil {
		return err
	}
	return sightOf(s).Err()
}

// keepSnapshot is the file that was written, empty when none was.
func keepSnapshot(d *Deps, s *snapshot.Snapshot, out string, dryRun bool) (string, error) {
	switch {
	case dryRun:
		return "", nil
	case out != "":
		return out, s.Write(out)
	}
	path, err := s.Keep(d.snapshots())
	return relative(path), err
}

// sightOf is inconclusive when a part was not seen: the rest is right, and nothing may be concluded from what is missing.
func sightOf(s *snapshot.Snapshot) audit.Verdict {
	if len(s.Unseen) > 0 {
		return audit.Inconclusive
	}
	return audit.Pass
}

func snapshotReport(s *snapshot.Snapshot, file string) term.Report {
	what := "kept what " + s.Env + " consists of in " + file
	if file == "" {
		what = "looked at what " + s.Env + " consists of; nothing was kept"
	}
	return term.Report{Schema: snapshot.Schema, Data: s, Blocks: append([]term.Block{
		headline(sightOf(s), what),
		term.Facts{{Name: "holds", Value: term.T(holds(s.Content.Sections()))}, {Name: "inside", Value: term.T(s.Inside.String())}, {Name: "digest", Value: term.T(s.Digest)}},
	}, unseenLines(s.Unseen)...)}
}
