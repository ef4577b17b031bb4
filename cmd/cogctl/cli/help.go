package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// help shows an example first: it is what most people came for.
func help(w io.Writer, cmd *cobra.Command, sections []section) {
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	fmt.Fprintln(w, about)
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
	if cmd.HasParent() {
		fmt.Fprintf(w, "\nUsage\n  %s\n", usageLine(cmd))
		list(w, "Commands", cmd.Commands())
		flagList(w, "Flags", cmd.NonInheritedFlags())
		fmt.Fprintln(w, "\nFlags of every command: --env --output --timeout --color --dir --help (cogctl --help explains them)")
		return
	}
	for _, s := range sections {
		list(w, s.title, s.commands)
	}
	flagList(w, "Flags of every command", cmd.PersistentFlags())
	fmt.Fprint(w, `
Exit codes
  0  it holds, or it was done        3  an API, a network or a credential
  1  a finding, or a check failed    4  inconclusive: too little was seen to decide
  2  the command line is wrong       5  refused by a policy       70  a defect of this program
`)
}

func usageLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " <command>"
	}
	return cmd.UseLine()
}

func list(w io.Writer, title string, commands []*cobra.Command) {
	var shown []*cobra.Command
	wide := 10
	for _, c := range commands {
		if c.IsAvailableCommand() {
			shown = append(shown, c)
			wide = max(wide, len(c.Name()))
		}
	}
	if len(shown) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, c := range shown {
		fmt.Fprintf(w, "  %-*s  %s\n", wide, c.Name(), c.Short)
	}
}

func flagList(w io.Writer, title string, flags *pflag.FlagSet) {
	if text := strings.TrimRight(flags.FlagUsages(), "\n"); text != "" {
		fmt.Fprintf(w, "\n%s\n%s\n", title, text)
	}
}
