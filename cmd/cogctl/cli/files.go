package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

func newFiles(d *Deps) *cobra.Command {
	return newGroup("files", "The files of an account: see, send, fetch, delete, and give a URL to one",
		"  cogctl files list ada@example.com\n  cogctl files put ada@example.com report.pdf",
		newFilesList(d), newFilesPut(d), newFilesGet(d), newFilesRemove(d), newFilesSign(d))
}

// filesArgs takes an account, and after it n arguments.
func filesArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(1+n)(cmd, args); err != nil {
			return err
		}
		return accountArg(cmd, args[:1])
	}
}

// filesCommand is what the commands about one file of an account have alike: R is what running it came to.
type filesCommand[R any] struct {
	cobra.Command
	schema string
	run    func(ctx context.Context, account, what string) (R, error)
	blocks func(R) []term.Block
}

// make makes the command; keyFile is where its admin key may be read from.
func (c filesCommand[R]) make(d *Deps, keyFile *string) *cobra.Command {
	cmd := c.Command
	cmd.Args = filesArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := c.run(cmd.Context(), args[0], args[1])
		if err != nil {
			return err
		}
		return d.Term.Print(term.Report{Schema: c.schema, Data: r, Blocks: c.blocks(r)})
	}
	adminKeyFlag(&cmd, keyFile)
	return &cmd
}

// doneOrPlanned says in a line what was done to a file, or would be.
func doneOrPlanned(dryRun bool, done, planned string, bytes int64) []term.Block {
	if dryRun {
		done = planned
	}
	return []term.Block{term.Line{term.T(done), term.DimText("  " + size(bytes))}}
}

// account is one account's files, which are reached with the admin key, acting for it.
type accountFiles struct {
	d       *Deps
	target  *audit.Target
	name    string
	keyFile string
}

func (d *Deps) filesOf(ctx context.Context, account, keyFile string) (*accountFiles, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	return &accountFiles{d, t, account, keyFile}, nil
}

func filePath(key string) string { return "/api/files/" + url.PathEscape(key) }

// call asks for a document; a query goes with the path.
func (a *accountFiles) call(ctx context.Context, doing, method, path string, body, into any) error {
	return a.d.adminCall(ctx, a.target, a.keyFile, adminRequest{
		doing: doing, method: method, path: path, body: body, header: http.Header{"X-User-Email": {a.name}},
	}, into)
}

// stream sends or asks for bytes, however long they take. The caller closes the answer, which is of a success.
func (a *accountFiles) stream(ctx context.Context, doing string, req *http.Request) (*http.Response, error) {
	key, err := a.d.adminKey(a.keyFile)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Admin-Key", key)
	req.Header.Set("X-Admin-Actor", a.d.actor(""))
	req.Header.Set("X-User-Email", a.name)
	client := *a.target.HTTP
	client.Timeout = 0 // --timeout is the context's
	res, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, audit.Unreachable(req.Method, a.target.PublicURL(req.URL.Path), err)
	}
	if res.StatusCode < http.StatusBadRequest {
		return res, nil
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, answerLimit)) // the status says enough
	return nil, platformRefusal(doing, res.StatusCode, raw)
}

// request is a call of the platform that carries bytes.
func (a *accountFiles) request(method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequest(method, a.target.URL(path), body) //nolint:noctx // stream gives it one
	if err != nil {
		return nil, fault.New(fault.Internal, "make a request: %w", err)
	}
	return req, nil
}

// size shows a number of bytes as people read it.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%d B", bytes)
}

func adminKeyFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "admin-key-file", "", "file that holds the admin key")
	must(cmd.MarkFlagFilename("admin-key-file"))
}
