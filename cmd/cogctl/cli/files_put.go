package cli

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
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

type filesPutOptions struct {
	name, contentType, keyFile string
	dryRun                     bool
}

type filesPutResult struct {
	Account     string `json:"account"`
	File        string `json:"file"`
	Name        string `json:"name"`
	Size        int64  `json:"size"`
	ContentType string `json:"content_type"`
	Key         string `json:"key,omitempty"`
	ETag        string `json:"etag,omitempty"`
	Upload      string `json:"upload,omitempty"`   // the upload that was, or would be, gone on with
	Resumed     int    `json:"parts_there_before"` // parts that were sent before, and are the file's own
	DryRun      bool   `json:"dry_run"`
}

func newFilesPut(d *Deps) *cobra.Command {
	var o filesPutOptions
	cmd := filesCommand[*filesPutResult]{
		Command: cobra.Command{
			Use: "put ACCOUNT FILE", Short: "Send a file in parts; what was broken off is gone on with",
			Long: "Send a file, as the account's own. It goes in parts, and is seen when all are there. Should it break off, the same command finds what it sent, from any machine: " +
				"parts whose digest is that of the file's own are not sent again.",
			Example: "  cogctl files put ada@example.com report.pdf --dry-run\n  cogctl files put ada@example.com backup.bin --content-type application/octet-stream",
		},
		schema: "cogctl/files.put/v1",
		run: func(ctx context.Context, account, file string) (*filesPutResult, error) {
			return runFilesPut(ctx, d, account, file, o)
		},
		blocks: filesPutBlocks,
	}.make(d, &o.keyFile)
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "what it is called there (default: its name here)")
	f.StringVar(&o.contentType, "content-type", "", "its media type (default: by its name)")
	f.BoolVar(&o.dryRun, "dry-run", false, "look at what is there, and send nothing")
	return cmd
}

// remoteUpload is an upload in parts as the platform shows it.
type remoteUpload struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Size        int64  `json:"size"`
	ContentType string `json:"content_type"`
	PartBytes   int64  `json:"part_bytes"`
	PartCount   int    `json:"part_count"`
	Parts       []struct {
		Part int    `json:"part"`
		ETag string `json:"etag"`
	} `json:"parts"`
}

func (u *remoteUpload) path() string { return "/api/uploads/" + u.ID }

func runFilesPut(ctx context.Context, d *Deps, account, file string, o filesPutOptions) (*filesPutResult, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read the file: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil, fault.New(fault.Invalid, "%s is no file, or is empty", file)
	}
	r := &filesPutResult{Account: account, File: file, Name: o.name, Size: info.Size(), ContentType: o.contentType, DryRun: o.dryRun}
	if r.Name == "" {
		r.Name = filepath.Base(file)
	}
	if r.ContentType == "" {
		r.ContentType = typeByName(r.Name)
	}
	a, err := d.filesOf(ctx, account, o.keyFile)
	if err != nil {
		return nil, err
	}
	u, err := a.unfinished(ctx, r)
	if err != nil || o.dryRun {
		return r, err
	}
	if u == nil {
		if u, err = a.begin(ctx, r); err != nil {
			return nil, err
		}
	}
	if err := a.sendParts(ctx, r, u, in); err != nil {
		return nil, fault.New(fault.KindOf(err), "%w", err).WithHint("run the same command again: it goes on with the parts that are missing")
	}
	return r, a.complete(ctx, r, u)
}

func typeByName(name string) string {
	known, _, _ := strings.Cut(mime.TypeByExtension(filepath.Ext(name)), ";")
	if known == "" {
		return "application/octet-stream"
	}
	return known
}

// unfinished finds an upload of the same name, length and type; nil when there is none. Whether its parts are of the same file is told by their digests.
func (a *accountFiles) unfinished(ctx context.Context, r *filesPutResult) (*remoteUpload, error) {
	var list struct{ Items []remoteUpload }
	if err := a.call(ctx, "look for an upload to go on with", http.MethodGet, "/api/uploads", nil, &list); err != nil {
		return nil, err
	}
	for _, u := range list.Items {
		if u.Name != r.Name || u.Size != r.Size || u.ContentType != r.ContentType {
			continue
		}
		r.Upload = u.ID
		return &u, a.call(ctx, "look at upload "+u.ID, http.MethodGet, u.path(), nil, &u)
	}
	return nil, nil //nolint:nilnil // none is no error
}

func (a *accountFiles) begin(ctx context.Context, r *filesPutResult) (*remoteUpload, error) {
	body := map[string]any{"filename": r.Name, "size": r.Size, "content_type": r.ContentType}
	u := &remoteUpload{}
	err := a.d.adminCall(ctx, a.target, a.keyFile, adminRequest{
		doing: "begin the upload of " + r.Name, method: http.MethodPost, path: "/api/uploads", body: body,
		header: http.Header{"X-User-Email": {a.name}, "Idempotency-Key": {rand.Text()}},
	}, u)
	r.Upload = u.ID
	return u, err
}

func (a *accountFiles) sendParts(ctx context.Context, r *filesPutResult, u *remoteUpload, in *os.File) error {
	if u.PartBytes < 1 || u.PartCount < 1 {
		return fault.New(fault.Unavailable, "begin an upload: the answer is not of the documented shape")
	}
	there := map[int]string{}
	for _, p := range u.Parts {
		there[p.Part] = p.ETag
	}
	p := a.d.Term.Progress("sending " + r.Name)
	defer p.Stop()
	for number := 1; number <= u.PartCount; number++ {
		from := int64(number-1) * u.PartBytes
		part := io.NewSectionReader(in, from, min(u.PartBytes, r.Size-from))
		if etag, ok := there[number]; ok {
			same, err := isPart(part, etag)
			if err != nil {
				return err
			}
			if same {
				r.Resumed++
				continue
			}
		}
		show := func(done, total int) { p.Set("sending "+r.Name+", MB", done, total) }
		if err := a.sendPart(ctx, u, number, part, &progressReader{Reader: part, done: from, total: r.Size, show: show}); err != nil {
			return err
		}
	}
	return nil
}

// isPart tells whether bytes are those that were sent before: R2's ETag of a part is its MD5.
func isPart(part *io.SectionReader, etag string) (bool, error) {
	sum := md5.New()
	if _, err := io.Copy(sum, part); err != nil {
		return false, fault.New(fault.Unavailable, "read the file: %w", err)
	}
	_, err := part.Seek(0, io.SeekStart)
	if err != nil {
		err = fault.New(fault.Internal, "read the file: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)) == etag, err
}

func (a *accountFiles) sendPart(ctx context.Context, u *remoteUpload, number int, part *io.SectionReader, body io.Reader) error {
	req, err := a.request(http.MethodPut, fmt.Sprintf("%s/parts/%d", u.path(), number), body)
	if err != nil {
		return err
	}
	req.ContentLength = part.Size()
	res, err := a.stream(ctx, fmt.Sprintf("send part %d of %d", number, u.PartCount), req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, answerLimit)) // the status said all; reading it lets the connection be used again
	return res.Body.Close()
}

func (a *accountFiles) complete(ctx context.Context, r *filesPutResult, u *remoteUpload) error {
	var done struct {
		Key  string `json:"key"`
		ETag string `json:"etag"`
	}
	err := a.call(ctx, "complete the upload of "+r.Name, http.MethodPost, u.path()+"/complete", map[string]any{}, &done)
	r.Key, r.ETag = done.Key, done.ETag
	return err
}

func filesPutBlocks(r *filesPutResult) []term.Block {
	if r.DryRun {
		words := fmt.Sprintf("would send %s to %s as %s, %s; nothing was sent", r.File, r.Account, r.Name, r.ContentType)
		if r.Upload != "" {
			words = fmt.Sprintf("would go on with upload %s of %s; nothing was sent", r.Upload, r.Name)
		}
		return []term.Block{term.Line{term.T(words), term.DimText("  " + size(r.Size))}}
	}
	blocks := []term.Block{term.Headline(term.Pass, "stored "+r.Name+" of "+r.Account), term.Facts{
		{Name: "key", Value: term.Text{Text: r.Key, Tone: term.Strong}}, {Name: "size", Value: term.T(size(r.Size))}, {Name: "type", Value: term.T(r.ContentType)},
	}}
	if r.Resumed > 0 {
		blocks = append(blocks, term.Line{term.DimText(fmt.Sprintf("gone on with: %d parts were there", r.Resumed))})
	}
	return blocks
}
