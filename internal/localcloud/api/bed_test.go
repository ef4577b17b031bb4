package api_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/textproto"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

const (
	hello   = `export default { async fetch() { return new Response("hello"); } };`
	objects = `export class Room {}
export class Hall {}
export default { async fetch() { return new Response("objects"); } };`
)

// form is a multipart body in the making.
type form struct {
	name, file, kind, data string
}

func multipartBody(t testing.TB, parts ...form) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		disposition := `form-data; name="` + p.name + `"`
		if p.file != "" {
			disposition += `; filename="` + p.file + `"`
		}
		h.Set("Content-Disposition", disposition)
		if p.kind != "" {
			h.Set("Content-Type", p.kind)
		}
		part, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte(p.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

type object = map[string]any

// put uploads a one-module script as wrangler does: a metadata part without a content type.
func put(t testing.TB, b *apitest.Bed, path, source string, metadata object) apitest.Answer {
	t.Helper()
	return send(t, b, "PUT", path, source, metadata)
}

func send(t testing.TB, b *apitest.Bed, method, path, source string, metadata object) apitest.Answer {
	t.Helper()
	if metadata == nil {
		metadata = object{}
	}
	metadata["main_module"] = "index.js"
	data, err := json.Marshal(metadata)
	if err != nil {
		t.Fatal(err)
	}
	kind, body := multipartBody(t, form{name: "metadata", data: string(data)}, form{"index.js", "index.js", "application/javascript+module", source})
	return b.Account(t, method, "/workers/scripts/"+path, body, "Content-Type", kind)
}

func deployed(t testing.TB, b *apitest.Bed, name, source string, metadata object) {
	t.Helper()
	if a := put(t, b, name, source, metadata); a.Status != 200 {
		t.Fatalf("upload %s: %d %s", name, a.Status, a.Body)
	}
}

// want holds one answer's status and first code against what Cloudflare gives; code 0 means success.
func want(t testing.TB, what string, a apitest.Answer, status, code int) {
	t.Helper()
	if a.Status != status || a.Code() != code || a.Success != (code == 0) {
		t.Errorf("%s: got %d, code %d, success %v, want %d, code %d: %s", what, a.Status, a.Code(), a.Success, status, code, a.Body)
	}
}
