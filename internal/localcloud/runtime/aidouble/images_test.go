package aidouble

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A model that sees says what it was shown; one that does not, and an image that is none, are refused as Workers AI refuses them.
func TestModelsThatSee(t *testing.T) {
	t.Parallel()
	const gif = "GIF89a\x01\x00\x01\x00"
	url := func(kind, data string) string {
		return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString([]byte(data))
	}
	const sees, blind = "@cf/meta/llama-4-scout-17b-16e-instruct", "@cf/meta/llama-3.1-8b-instruct"
	for name, c := range map[string]struct {
		model, url, detail string
		status             int
		want               string
	}{
		"an image":              {sees, url("image/gif", gif), "", 200, "showed image/gif of 10 bytes with SHA-256 fb6567d4"},
		"counted":               {sees, url("image/gif", gif), "", 200, `"prompt_tokens":767`},
		"counted in low":        {sees, url("image/gif", gif), "low", 200, `"prompt_tokens":87`},
		"one that does not":     {blind, url("image/gif", gif), "", 400, "5006"},
		"called something":      {sees, url("image/png", gif), "", 400, "5006"},
		"of a type not taken":   {sees, url("image/bmp", gif), "", 400, "5006"},
		"to be fetched":         {sees, "https://example.test/a.png", "", 400, "5006"},
		"that is not in base64": {sees, "data:image/gif;base64,R0lG*", "", 400, "5006"},
	} {
		content := []any{map[string]any{"type": "text", "text": "what is"}, map[string]any{"type": "image_url", "image_url": map[string]any{"url": c.url, "detail": c.detail}}}
		body, err := json.Marshal(map[string]any{"inputs": map[string]any{"messages": []any{map[string]any{"role": "user", "content": content}}}})
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(http.MethodPost, "/run", strings.NewReader(string(body)))
		req.Header.Set("Cf-Consn-Model-Id", c.model)
		res := httptest.NewRecorder()
		Handler{}.ServeHTTP(res, req)
		if got := res.Body.String(); res.Code != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s, want %d %s", name, res.Code, got, c.status, c.want)
		}
	}
}
