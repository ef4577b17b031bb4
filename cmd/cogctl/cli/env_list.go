package cli

import (
	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/term"
)

func newEnvList(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "list [folder]", Short: "List the snapshots of a folder, oldest first", Args: cobra.MaximumNArgs(1),
		Example: "  cogctl env list\n  cogctl env list /mnt/snapshots --output json",
		RunE: func(_ *cobra.Command, args []string) error {
			dir := d.snapshots()
			if len(args) == 1 {
				dir = args[0]
			}
			entries, err := snapshot.List(dir)
			if err != nil {
				return err
			}
			for i := range entries {
				entries[i].File = relative(entries[i].File)
			}
			result := &snapshotList{entries}
			return d.Term.Print(term.Report{
				Schema: "cogctl/env.list/v1", Data: result, Blocks: result.blocks("no snapshots in " + relative(dir) + ": cogctl env snapshot"),
			})
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
	}
}
