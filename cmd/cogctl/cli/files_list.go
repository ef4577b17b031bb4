package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type filesListOptions struct {
	limit           int
	cursor, keyFile string
}

type fileEntry struct {
	Key         string    `json:"key"`
	Name        string    `json:"name"`
	Size        int64     `json:"size"`
	ContentType string    `json:"content_type"`
	Created     time.Time `json:"created_at"`
	Prompt      string    `json:"prompt,omitempty"`
}

type filesListResult struct {
	Account string      `json:"account"`
	Files   []fileEntry `json:"files"`
	Next    string      `json:"next_cursor"`
}

func newFilesList(d *Deps) *cobra.Command {
	var o filesListOptions
	cmd := &cobra.Command{
		Use: "list ACCOUNT", Short: "List an account's files, newest first, with the keys that other commands take", Args: filesArgs(0),
		Example: "  cogctl files list ada@example.com\n  cogctl files list ada@example.com -o json | jq -r '.files[].key'",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := runFilesList(cmd.Context(), d, args[0], o)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/files.list/v1", Data: r, Blocks: filesListBlocks(r)})
		},
	}
	cmd.Flags().IntVarP(&o.limit, "limit", "n", 25, "files on a page, up to 100")
	cmd.Flags().StringVar(&o.cursor, "cursor", "", "next_cursor of the page before")
	adminKeyFlag(cmd, &o.keyFile)
	return cmd
}

func runFilesList(ctx context.Context, d *Deps, account string, o filesListOptions) (*filesListResult, error) {
	if o.limit < 1 || o.limit > 100 {
		return nil, fault.New(fault.Invalid, "--limit %d is not 1 to 100", o.limit)
	}
	a, err := d.filesOf(ctx, account, o.keyFile)
	if err != nil {
		return nil, err
	}
	query := url.Values{"limit": {fmt.Sprint(o.limit)}}
	if o.cursor != "" {
		query.Set("cursor", o.cursor)
	}
	var page struct {
		Items []fileEntry `json:"items"`
		Next  string      `json:"next_cursor"`
	}
	if err := a.call(ctx, "list the files of "+account, http.MethodGet, "/api/files?"+query.Encode(), nil, &page); err != nil {
		return nil, err
	}
	return &filesListResult{Account: account, Files: append([]fileEntry{}, page.Items...), Next: page.Next}, nil
}

func filesListBlocks(r *filesListResult) []term.Block {
	rows := term.Rows{Columns: []string{"name", "size", "type", "created", "key"}, Empty: r.Account + " has no files"}
	for _, f := range r.Files {
		rows.Rows = append(rows.Rows, term.Row(f.Name, size(f.Size), f.ContentType, f.Created.Format("2006-01-02 15:04:05"), f.Key))
	}
	blocks := []term.Block{rows}
	if r.Next != "" {
		blocks = append(blocks, term.Line{term.DimText("more: --cursor " + r.Next)})
	}
	return blocks
}
