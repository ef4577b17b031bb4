package doubles

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Both providers write audio down, count it by its model, and go wrong as they are told to.
func TestTranscriptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		provider, path, model, format, audio string
		fault                                Kind
		status                               int
		want                                 string
	}{
		"at Groq":             {"groq", "/openai/v1/audio/transcriptions", "whisper-large-v3-turbo", "verbose_json", "ID3" + strings.Repeat("x", 3997), "", 200, `"duration":1,`},
		"at OpenAI":           {"openai", "/v1/audio/transcriptions", "whisper-1", "verbose_json", "OggS", "", 200, "heard ogg of 4 bytes with SHA-256 "},
		"in short":            {"openai", "/v1/audio/transcriptions", "whisper-1", "json", "OggS", "", 200, `{"text":"heard ogg`},
		"by one that is deaf": {"openai", "/v1/audio/transcriptions", "gpt-4o", "json", "OggS", "", 404, "model_not_found"},
		"of what is none":     {"openai", "/v1/audio/transcriptions", "whisper-1", "json", "hello", "", 400, "invalid_request_error"},
		"elsewhere":           {"openai", "/v1/audio/translations", "whisper-1", "json", "OggS", "", 501, "not emulated"},
		"out of order":        {"groq", "/openai/v1/audio/transcriptions", "whisper-1", "json", "OggS", Broken, 500, "server_error"},
		"too often":           {"groq", "/openai/v1/audio/transcriptions", "whisper-1", "json", "OggS", Limited, 429, "rate_limit_exceeded"},
		"a page":              {"groq", "/openai/v1/audio/transcriptions", "whisper-1", "json", "OggS", HTML, 200, "<!doctype html>"},
		"half":                {"groq", "/openai/v1/audio/transcriptions", "whisper-1", "json", "OggS", Malformed, 200, `{"text":"heard ogg`},
		"nothing":             {"groq", "/openai/v1/audio/transcriptions", "whisper-1", "json", "OggS", Empty, 200, `{"text":""}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New(time.Now)
			if c.fault != "" {
				if err := s.Plan(c.provider, Plan{Faults: []Fault{{c.fault, 1}}}); err != nil {
					t.Fatal(err)
				}
			}
			var body bytes.Buffer
			form := multipart.NewWriter(&body)
			file, err := form.CreateFormFile("file", "audio.ogg")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = file.Write([]byte(c.audio))
			_ = form.WriteField("model", c.model)
			_ = form.WriteField("response_format", c.format)
			_ = form.Close()
			req := httptest.NewRequest(http.MethodPost, c.path, &body)
			req.Header.Set("Authorization", "Bearer k")
			req.Header.Set("Content-Type", form.FormDataContentType())
			res := httptest.NewRecorder()
			s.Of(c.provider).ServeHTTP(res, req)
			if got := res.Body.String(); res.Code != c.status || !strings.Contains(got, c.want) {
				t.Errorf("%d %s, want %d %s", res.Code, got, c.status, c.want)
			}
			if st := s.Of(c.provider).status(); st.Models[c.model] != 1 {
				t.Errorf("counted %v", st.Models)
			}
		})
	}
}
