package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/term"
)

func newLimitsShow(d *Deps) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use: "show SUBJECT", Short: "What a caller or a tenant may ask for, has spent and holds", Args: subjectArg,
		Long: "What a caller or a tenant may ask for, has spent today and holds for questions that are not over, beside what the ledger has of today. " +
			"A caller is an e-mail or guest:<id>; tenant:<name> is all of a tenant together, and guests all guests. It needs the admin key; on this machine it is known.",
		Example: "  cogctl limits show ada@example.com\n  cogctl limits show tenant:acme --env production\n  cogctl limits show guests",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := runLimitsShow(cmd.Context(), d, args[0], keyFile)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/limits.show/v1", Data: r, Blocks: []term.Block{term.Line{term.T(r.Subject + " on " + d.Env)}, limitsFacts(r)}})
		},
	}
	cmd.Flags().StringVar(&keyFile, "admin-key-file", "", "file that holds the admin key")
	must(cmd.MarkFlagFilename("admin-key-file"))
	return cmd
}

func runLimitsShow(ctx context.Context, d *Deps, who, keyFile string) (limitsResult, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return limitsResult{}, err
	}
	return d.limitsOf(ctx, t, keyFile, subjectOf(who))
}
