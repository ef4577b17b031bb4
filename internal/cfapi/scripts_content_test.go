package cfapi

import (
	"bytes"
	"mime/multipart"
	"testing"
)

func FuzzScriptContent(f *testing.F) {
	f.Add("multipart/form-data; boundary=B", []byte("--B\r\nContent-Disposition: form-data; name=\"index.js\"\r\nContent-Type: application/javascript+module\r\n\r\nexport {}\r\n--B--\r\n"))
	f.Add("text/javascript", []byte("x"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		modules, err := readModules(contentType, body)
		if err != nil {
			return
		}
		var again bytes.Buffer
		form := multipart.NewWriter(&again)
		for _, m := range modules {
			if writePart(form, `form-data; name="m"`, "text/plain", m.Content) != nil {
				t.Fatal("a buffer takes everything")
			}
		}
		if form.Close() != nil {
			t.Fatal("a buffer takes everything")
		}
		back, err := readModules(form.FormDataContentType(), again.Bytes())
		if err != nil || len(back) != len(modules) {
			t.Fatalf("%d modules came back as %d: %v", len(modules), len(back), err)
		}
	})
}
