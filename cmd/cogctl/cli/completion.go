package cli

import (
	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
)

func newCompletion(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "completion <bash|zsh|fish|powershell>", Short: "Print a completion script for a shell",
		Long:    "Print a completion script for a shell. It completes commands and flags, and names from the contract: environments and Workers.",
		Example: "  source <(cogctl completion bash)\n  cogctl completion zsh > \"${fpath[1]}/_cogctl\"",
		Args:    cobra.ExactArgs(1), ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error { return complete(cmd.Root(), d, args[0]) },
	}
}

func complete(root *cobra.Command, d *Deps, shell string) error {
	out := d.Term.Out()
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(out, true)
	case "zsh":
		return root.GenZshCompletion(out)
	case "fish":
		return root.GenFishCompletion(out, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(out)
	default:
		return fault.New(fault.Invalid, "no completion for shell %q", shell).WithHint("bash, zsh, fish or powershell")
	}
}
