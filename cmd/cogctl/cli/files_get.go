package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type filesGetOptions struct {
	to, keyFile string
	dryRun      bool
}

type filesGetResult struct {
	Account string `json:"account"`
	Key     string `json:"key"`
	File    string `json:"file"`
	Size    int64  `json:"size"`
	ETag    string `json:"etag"`
	Resumed int64  `json:"resumed_at_byte"`
	DryRun  bool   `json:"dry_run"`
}

func newFilesGet(d *Deps) *cobra.Command {
	var o filesGetOptions
	cmd := filesCommand[*filesGetResult]{
		Command: cobra.Command{
			Use: "get ACCOUNT KEY", Short: "Fetch a file; what was broken off is gone on with",
			Long:    "Fetch a file. It is written beside its place and moved there when it is whole. Should it break off, the same command goes on where it stopped, if the file is still the same one.",
			Example: "  cogctl files get ada@example.com uploads/2026/11/25/…\n  cogctl files get ada@example.com uploads/2026/11/25/… --to /tmp/report.pdf",
		},
		schema: "cogctl/files.get/v1",
		run: func(ctx context.Context, account, key string) (*filesGetResult, error) {
			return runFilesGet(ctx, d, account, key, o)
		},
		blocks: func(r *filesGetResult) []term.Block {
			return doneOrPlanned(r.DryRun, "fetched "+r.File, "would fetch "+r.File+"; nothing was written", r.Size)
		},
	}.make(d, &o.keyFile)
	cmd.Flags().StringVar(&o.to, "to", "", "where to (default: the file's own name, here)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "look at the file, and write nothing")
	return cmd
}

// fileFacts is what a file says of itself.
type fileFacts struct {
	size       int64
	etag, name string
}

func (a *accountFiles) look(ctx context.Context, key string) (fileFacts, error) {
	req, err := a.request(http.MethodHead, filePath(key), nil)
	if err != nil {
		return fileFacts{}, err
	}
	res, err := a.stream(ctx, "look at "+key, req)
	if err != nil {
		return fileFacts{}, err
	}
	defer res.Body.Close()
	_, params, _ := mime.ParseMediaType(res.Header.Get("Content-Disposition")) // without a name it is "file"
	return fileFacts{res.ContentLength, res.Header.Get("ETag"), params["filename"]}, nil
}

func runFilesGet(ctx context.Context, d *Deps, account, key string, o filesGetOptions) (*filesGetResult, error) {
	a, err := d.filesOf(ctx, account, o.keyFile)
	if err != nil {
		return nil, err
	}
	facts, err := a.look(ctx, key)
	if err != nil {
		return nil, err
	}
	r := &filesGetResult{Account: account, Key: key, File: o.to, Size: facts.size, ETag: facts.etag, DryRun: o.dryRun}
	if r.File == "" {
		// A name from outside is a name, never a path.
		if r.File = filepath.Base(facts.name); facts.name == "" || r.File == "." || r.File == ".." || r.File == string(filepath.Separator) {
			r.File = "file"
		}
	}
	if o.dryRun {
		return r, nil
	}
	return r, a.fetch(ctx, r)
}

// fetch writes to a file that is named after what it is a part of, so that parts of two files are never put together.
func (a *accountFiles) fetch(ctx context.Context, r *filesGetResult) (err error) {
	part := filepath.Join(filepath.Dir(r.File), "."+filepath.Base(r.File)+"."+strings.Trim(r.ETag, `"`)+".part")
	out, err := os.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fault.New(fault.Unavailable, "write %s: %w", part, err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if r.Resumed, err = out.Seek(0, io.SeekEnd); err == nil && r.Resumed > r.Size {
		r.Resumed, err = 0, out.Truncate(0)
	}
	if err != nil {
		return fault.New(fault.Unavailable, "read %s: %w", part, err)
	}
	if r.Resumed < r.Size {
		if err := a.append(ctx, r, out); err != nil {
			return fault.New(fault.KindOf(err), "%w", err).WithHint("run the same command again: it goes on from what is in %s", part)
		}
	}
	if err := out.Sync(); err != nil {
		return fault.New(fault.Unavailable, "write %s: %w", part, err)
	}
	if err := os.Rename(part, r.File); err != nil {
		return fault.New(fault.Unavailable, "move the file to its place: %w", err)
	}
	return nil
}

// append fetches what is missing of the very file that was looked at.
func (a *accountFiles) append(ctx context.Context, r *filesGetResult, out *os.File) error {
	req, err := a.request(http.MethodGet, filePath(r.Key), nil)
	if err != nil {
		return err
	}
	req.Header.Set("If-Match", r.ETag)
	if r.Resumed > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", r.Resumed))
	}
	res, err := a.stream(ctx, "fetch "+r.Key, req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if want := map[bool]int{false: http.StatusOK, true: http.StatusPartialContent}[r.Resumed > 0]; res.StatusCode != want {
		return fault.New(fault.Unavailable, "fetch %s: the platform answers %d, want %d", r.Key, res.StatusCode, want)
	}
	p := a.d.Term.Progress("fetching " + filepath.Base(r.File))
	defer p.Stop()
	moved := &progressReader{Reader: res.Body, done: r.Resumed, total: r.Size, show: func(done, total int) { p.Set("fetching "+filepath.Base(r.File)+", MB", done, total) }}
	if _, err := out.Seek(r.Resumed, io.SeekStart); err != nil {
		return fault.New(fault.Unavailable, "write the file: %w", err)
	}
	n, err := io.Copy(out, moved)
	if err != nil || r.Resumed+n != r.Size {
		return fault.New(fault.Unavailable, "fetch %s: broke off at byte %d of %d: %w", r.Key, r.Resumed+n, r.Size, errors.Join(err, io.ErrUnexpectedEOF))
	}
	return nil
}

// progressReader says how far a transfer is, in megabytes.
type progressReader struct {
	io.Reader
	done, total int64
	show        func(done, total int)
}

func (r *progressReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.done += int64(n)
	r.show(int(r.done/1e6), int((r.total+1e6-1)/1e6))
	return n, err
}
