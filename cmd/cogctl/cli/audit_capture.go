package cli

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

func newRoutesCapture(d *Deps) *cobra.Command {
	var o routesOptions
	cmd := &cobra.Command{
		Use: "capture <file>", Short: "Keep what decides the hostname's owner in a file; - is stdout", Args: cobra.ExactArgs(1),
		Example: "  cogctl audit routes capture before.json --env production",
		RunE: func(cmd *cobra.Command, args []string) error {
			capture, err := d.capture(cmd.Context(), o)
			if err != nil {
				return err
			}
			return saveCapture(d, capture, args[0])
		},
	}
	o.flags(cmd)
	return cmd
}

func newRoutesCompare(d *Deps) *cobra.Command {
	var o routesOptions
	cmd := &cobra.Command{
		Use: "compare <file>", Short: "Show what has changed since a capture; a change is exit code 1", Args: cobra.ExactArgs(1),
		Example: "  cogctl audit routes compare before.json --env production",
		RunE: func(cmd *cobra.Command, args []string) error {
			was, err := loadCapture(args[0])
			if err != nil {
				return err
			}
			is, err := d.capture(cmd.Context(), o)
			if err != nil {
				return err
			}
			changes := routes.Compare(was, is)
			if err := d.Term.Print(compareReport(was, is, changes)); err != nil {
				return err
			}
			if len(changes) > 0 {
				return fault.Drift
			}
			return nil
		},
	}
	o.flags(cmd)
	return cmd
}

func (d *Deps) capture(ctx context.Context, o routesOptions) (*routes.Capture, error) {
	t, err := d.lookAt(ctx, o.host, o.zone)
	if err != nil {
		return nil, err
	}
	return routes.Collect(ctx, t.API, routes.AskFor(t))
}

func saveCapture(d *Deps, c *routes.Capture, path string) error {
	if path == "-" {
		return c.Write(d.Term.Out())
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".capture-*")
	if err != nil {
		return fault.New(fault.Invalid, "write %s: %w", path, err)
	}
	defer os.Remove(tmp.Name())
	err = c.Write(tmp)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fault.New(fault.Invalid, "write %s: %w", path, err)
	}
	d.Term.Note(term.T("kept " + counted(len(c.Routes), "route") + " and what else decides " + c.Host + " in " + path))
	return nil
}

func loadCapture(path string) (*routes.Capture, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read the capture: %w", err).WithHint("cogctl audit routes capture %s", path)
	}
	defer f.Close()
	return routes.ReadCapture(f)
}

func compareReport(was, is *routes.Capture, changes []routes.Change) term.Report {
	r := term.Report{Schema: "cogctl/audit.routes.compare/v1", Data: struct {
		Host    string          `json:"host"`
		Was     string          `json:"was_at"`
		Is      string          `json:"is_at"`
		Changes []routes.Change `json:"changes"`
	}{is.Host, was.At.Format(rfc3339), is.At.Format(rfc3339), changes}}
	if len(changes) == 0 {
		r.Blocks = []term.Block{term.Headline(term.Pass, "nothing has changed on "+is.Host+" since "+was.At.Format(rfc3339))}
		return r
	}
	rows := term.Rows{Columns: []string{"change", "kind", "id", "was", "is"}}
	for _, c := range changes {
		rows.Rows = append(rows.Rows, term.Row(c.Op, c.Kind, c.ID, c.Was, c.Is))
	}
	r.Blocks = []term.Block{term.Headline(term.Fail, counted(len(changes), "change")+" on "+is.Host+" since "+was.At.Format(rfc3339)), rows}
	return r
}
