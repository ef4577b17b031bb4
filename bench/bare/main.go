// Command bare is the least a command line of cobra and lipgloss can be: the baseline for how fast cogctl starts.
package main

import (
	"fmt"
	"os"

	"github.com/charmbracelet/lipgloss"
	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{Use: "bare", SilenceUsage: true}
	root.AddCommand(&cobra.Command{Use: "version", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), lipgloss.NewStyle().Bold(true).Render("bare"), "0.0.0")
		return err
	}})
	if root.Execute() != nil {
		os.Exit(1)
	}
}
