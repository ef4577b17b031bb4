package cli

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/term"
)

type versionResult struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs,
		Example: "  cogctl version --output json",
		RunE: func(*cobra.Command, []string) error {
			v := versionResult{Version: d.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			return d.Term.Print(term.Report{
				Schema: "cogctl/version/v1", Data: v,
				Blocks: []term.Block{term.Line{term.T("cogctl " + v.Version + " "), term.DimText(v.Go + " " + v.Platform)}},
			})
		},
	}
}
