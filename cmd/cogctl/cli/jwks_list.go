package cli

import (
	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/rotation"
	"github.com/cognomega/edge/internal/term"
)

type keyListResult struct {
	Env  string              `json:"env"`
	Keys []rotation.KeyState `json:"keys"`
}

func newJWKSList(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the keys that sign, shall sign, or did", Args: cobra.NoArgs,
		Example: "  cogctl jwks list --env production\n  cogctl jwks list -o json | jq -r '.keys[].kid'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, status, err := runJWKSStatus(cmd.Context(), d)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{
				Schema: "cogctl/jwks.list/v1", Data: keyListResult{d.Env, status.Keys}, Blocks: []term.Block{heldRows(status)},
			})
		},
	}
}

// completePublished offers the keys that could be revoked.
func (d *Deps) completePublished(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	_, status, err := runJWKSStatus(cmd.Context(), d)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var kids []string
	for _, k := range status.Keys {
		if k.LeftAt == nil {
			kids = append(kids, k.KID)
		}
	}
	return kids, cobra.ShellCompDirectiveNoFileComp
}
