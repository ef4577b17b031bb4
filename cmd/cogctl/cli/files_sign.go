package cli

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type filesSignOptions struct {
	life                 time.Duration
	upload, dryRun       bool
	contentType, keyFile string
}

type filesSignResult struct {
	Account     string    `json:"account"`
	Method      string    `json:"method"`
	Key         string    `json:"key"`
	ContentType string    `json:"content_type,omitempty"`
	URL         string    `json:"url"`
	Expires     time.Time `json:"expires_at"`
	DryRun      bool      `json:"dry_run"`
}

func newFilesSign(d *Deps) *cobra.Command {
	var o filesSignOptions
	cmd := filesCommand[*filesSignResult]{
		Command: cobra.Command{
			Use: "sign ACCOUNT KEY", Short: "Print a URL that needs no token: to read a file, or with --upload to send one",
			Long: "Print a URL that needs no token: to read the file of KEY, or with --upload to send one file of the name KEY, as the account's own. Whoever has the URL may use it until " +
				"it expires, a day from now at most; it cannot be called back, short of deleting the file. An upload must have the --content-type that was signed.",
			Example: "  curl -OJ \"$(cogctl files sign ada@example.com uploads/2026/11/25/… --for 1h)\"\n  cogctl files sign ada@example.com photo.png --upload --content-type image/png",
		},
		schema: "cogctl/files.sign/v1",
		run: func(ctx context.Context, account, key string) (*filesSignResult, error) {
			return runFilesSign(ctx, d, account, key, o)
		},
		blocks: func(r *filesSignResult) []term.Block {
			if r.DryRun {
				return []term.Block{term.Line{term.T("would sign " + r.Method + " " + r.Key + " until " + r.Expires.Format(rfc3339) + "; no URL was made")}}
			}
			return []term.Block{term.Line{term.T(r.URL)}}
		},
	}.make(d, &o.keyFile)
	f := cmd.Flags()
	f.DurationVar(&o.life, "for", 15*time.Minute, "how long it is good for, up to a day")
	f.BoolVar(&o.upload, "upload", false, "a URL to send a file by; KEY is then its name")
	f.StringVar(&o.contentType, "content-type", "application/octet-stream", "what an upload must be")
	f.BoolVar(&o.dryRun, "dry-run", false, "make no URL")
	return cmd
}

func runFilesSign(ctx context.Context, d *Deps, account, key string, o filesSignOptions) (*filesSignResult, error) {
	if o.life < time.Second {
		return nil, fault.New(fault.Invalid, "--for %s is under a second", o.life)
	}
	a, err := d.filesOf(ctx, account, o.keyFile)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"method": http.MethodGet, "key": key, "expires_in_s": int(o.life.Seconds())}
	r := &filesSignResult{Account: account, Method: http.MethodGet, Key: key, DryRun: o.dryRun}
	if o.upload {
		r.Method, r.ContentType = http.MethodPut, o.contentType
		body = map[string]any{"method": http.MethodPut, "filename": key, "content_type": o.contentType, "expires_in_s": int(o.life.Seconds())}
	}
	if o.dryRun {
		r.Expires = d.Now().UTC().Add(o.life).Truncate(time.Second)
		return r, nil
	}
	var answer struct {
		Key     string    `json:"key"`
		Path    string    `json:"path"`
		Expires time.Time `json:"expires_at"`
	}
	if err := a.call(ctx, "sign a URL to "+key, http.MethodPost, "/api/signed", body, &answer); err != nil {
		return nil, err
	}
	r.Key, r.URL, r.Expires = answer.Key, a.target.PublicURL(answer.Path), answer.Expires
	return r, nil
}
