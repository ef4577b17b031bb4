package cli

import (
	"embed"
	"io/fs"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// schemaFiles are the JSON Schemas of the documents that commands print, by the document's own name.
//
//go:embed schemas/*.json
var schemaFiles embed.FS

func newSchema(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "schema [document]", Short: "Print the JSON Schema of what a command prints as JSON", Args: cobra.MaximumNArgs(1),
		Long: "Print the JSON Schema (2020-12) of what a command prints with --output json; without a name, list the documents. " +
			"A document names its schema in its first member; a key never changes its meaning under that name.",
		Example: "  cogctl schema\n  cogctl schema gate/v1 > gate.schema.json",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return documentNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listSchemas(d)
			}
			name := strings.TrimPrefix(args[0], "cogctl/")
			raw, err := schemaFiles.ReadFile("schemas/" + strings.ReplaceAll(name, "/", ".") + ".json")
			if err != nil {
				return fault.New(fault.NotFound, "no document is called %q", args[0]).WithHint("cogctl schema lists them")
			}
			if _, err := d.Term.Out().Write(raw); err != nil {
				return fault.New(fault.Unavailable, "write the schema: %w", err)
			}
			return nil
		},
	}
}

func documentNames() []string {
	files, err := fs.Glob(schemaFiles, "schemas/*.json")
	must(err)
	names := make([]string, 0, len(files))
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".json")
		at := strings.LastIndexByte(name, '.')
		names = append(names, name[:at]+"/"+name[at+1:])
	}
	return names
}

func listSchemas(d *Deps) error {
	data := struct {
		Documents []string `json:"documents"`
	}{documentNames()}
	rows := term.Rows{Columns: []string{"document"}}
	for _, name := range data.Documents {
		rows.Rows = append(rows.Rows, term.Row(name))
	}
	return d.Term.Print(term.Report{Schema: "cogctl/schema.list/v1", Data: data, Blocks: []term.Block{rows}})
}
