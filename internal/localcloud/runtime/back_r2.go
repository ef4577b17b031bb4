package runtime

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// The headers of workerd's R2 protocol (src/workerd/api/r2-rpc.c++): a request that has a body carries its JSON in front of it,
// others in a header; answers carry theirs in front of the body.
const (
	r2RequestHeader = "CF-R2-Request"
	r2SizeHeader    = "CF-R2-Metadata-Size"
	r2ErrorHeader   = "CF-R2-Error"
	maxR2Request    = 1 << 20
)

func (b *backend) serveR2(w http.ResponseWriter, r *http.Request, bucket string) {
	req, body, err := readR2(r)
	if err == nil {
		c := r2Call{backend: b, w: w, r: r, bucket: bucket, req: req, body: body}
		err = c.run()
	}
	if err != nil {
		refuseR2(w, err, nil)
	}
}

// readR2 takes the request apart.
func readR2(r *http.Request) (r2Request, io.Reader, error) {
	var req r2Request
	text := []byte(r.Header.Get(r2RequestHeader))
	if r.Method == http.MethodPut {
		size, err := strconv.Atoi(r.Header.Get(r2SizeHeader))
		if err != nil || size < 0 || size > maxR2Request {
			return req, nil, fault.New(fault.Invalid, "metadata missing or invalid")
		}
		text = make([]byte, size)
		if _, err := io.ReadFull(r.Body, text); err != nil {
			return req, nil, fault.New(fault.Invalid, "metadata missing or invalid: %w", err)
		}
	}
	if err := json.Unmarshal(text, &req); err != nil {
		return req, nil, fault.New(fault.Invalid, "metadata missing or invalid: %w", err)
	}
	return req, r.Body, nil
}

// r2Call is one operation on a bucket.
type r2Call struct {
	*backend
	w      http.ResponseWriter
	r      *http.Request
	bucket string
	req    r2Request
	body   io.Reader
}

func (c r2Call) run() error {
	switch c.req.Method {
	case "head":
		o, err := c.store.R2().Head(c.bucket, c.req.Object)
		return c.object(o, err)
	case "get":
		return c.get()
	case "put":
		return c.put()
	case "list":
		return c.list()
	case "delete":
		return c.delete()
	case "createMultipartUpload":
		u, err := c.store.R2().CreateMultipart(c.bucket, c.req.Object, store.MultipartOptions{
			HTTPMetadata: c.req.HTTPFields.metadata(), CustomMetadata: c.req.custom(), StorageClass: c.req.StorageClass,
		})
		return c.json(map[string]string{"uploadId": u.ID}, err)
	case "uploadPart":
		p, err := c.store.R2().UploadPart(c.r.Context(), c.bucket, c.req.Object, c.req.UploadID, c.req.PartNumber, c.body)
		return c.json(map[string]string{"etag": p.ETag}, err)
	case "completeMultipartUpload":
		o, err := c.store.R2().CompleteMultipart(c.bucket, c.req.Object, c.req.UploadID, c.req.parts())
		return c.object(o, err)
	case "abortMultipartUpload":
		return c.json(struct{}{}, c.store.R2().AbortMultipart(c.bucket, c.req.Object, c.req.UploadID))
	}
	return fault.New(fault.Unsupported, "unknown R2 operation %q", c.req.Method)
}

func (c r2Call) get() error {
	span, err := c.req.span()
	if err != nil {
		return err
	}
	o, body, err := c.store.R2().Get(c.bucket, c.req.Object, store.GetOptions{Range: span, Conditions: c.req.OnlyIf.conditions()})
	if errors.Is(err, store.ErrPrecondition) {
		refuseR2(c.w, err, &o)
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	head, err := json.Marshal(r2View(o))
	if err != nil {
		return fault.New(fault.Internal, "encode object: %w", err)
	}
	length := o.Size
	if o.Range != nil {
		length = o.Range.Length
	}
	c.w.Header().Set(r2SizeHeader, strconv.Itoa(len(head)))
	c.w.Header().Set("Content-Type", "application/octet-stream")
	c.w.Header().Set("Content-Length", strconv.FormatInt(int64(len(head))+length, 10))
	_, _ = c.w.Write(head)
	_, _ = io.Copy(c.w, body) // a short body breaks the connection, which workerd reports
	return nil
}

func (c r2Call) put() error {
	sums, err := c.req.checksums()
	if err != nil {
		return err
	}
	o, err := c.store.R2().Put(c.r.Context(), c.bucket, c.req.Object, c.body, store.R2PutOptions{
		HTTPMetadata: c.req.HTTPFields.metadata(), CustomMetadata: c.req.custom(), StorageClass: c.req.StorageClass,
		Conditions: c.req.OnlyIf.conditions(), Checksums: sums,
	})
	return c.object(o, err)
}

func (c r2Call) delete() error {
	keys := c.req.Objects
	if c.req.Object != "" {
		keys = append(keys, c.req.Object)
	}
	return c.json(struct{}{}, c.store.R2().Delete(c.bucket, keys...))
}

func (c r2Call) list() error {
	o := store.R2ListOptions{Prefix: c.req.Prefix, Delimiter: c.req.Delimiter, Cursor: c.req.Cursor, StartAfter: c.req.StartAfter}
	if c.req.Limit != nil {
		if o.Limit = int(*c.req.Limit); o.Limit < 1 || o.Limit > store.MaxR2ListLimit {
			return fault.New(fault.Invalid, "MaxKeys params must be positive integer <= 1000.")
		}
	}
	for _, field := range c.req.Include {
		o.HTTPMetadata = o.HTTPMetadata || field == 0
		o.CustomMetadata = o.CustomMetadata || field == 1
	}
	page, err := c.store.R2().List(c.bucket, o)
	objects := make([]r2Object, 0, len(page.Objects))
	for _, object := range page.Objects {
		objects = append(objects, r2View(object))
	}
	answer := map[string]any{"objects": objects, "truncated": page.Truncated, "delimitedPrefixes": append([]string{}, page.Prefixes...)}
	if page.Cursor != "" {
		answer["cursor"] = page.Cursor
	}
	return c.json(answer, err)
}

func (c r2Call) object(o store.Object, err error) error { return c.json(r2View(o), err) }

func (c r2Call) json(v any, err error) error {
	if err != nil {
		return err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fault.New(fault.Internal, "encode answer: %w", err)
	}
	c.w.Header().Set(r2SizeHeader, strconv.Itoa(len(b)))
	c.w.Header().Set("Content-Type", "application/json")
	_, _ = c.w.Write(b)
	return nil
}

// refuseR2 answers an error with Cloudflare's number; a failed condition carries the object's metadata.
func refuseR2(w http.ResponseWriter, err error, o *store.Object) {
	e := r2ErrorOf(err)
	text, _ := json.Marshal(map[string]any{"version": 1, "v4code": e.code, "message": e.message})
	w.Header().Set(r2ErrorHeader, string(text))
	var body []byte
	if o != nil {
		body, _ = json.Marshal(r2View(*o))
		w.Header().Set(r2SizeHeader, strconv.Itoa(len(body)))
	}
	w.WriteHeader(e.status)
	_, _ = w.Write(body)
}
