package aidouble

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// wav plays for so many seconds, at 8,000 bytes a second.
func wav(seconds int) []byte {
	b := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"), make([]byte, 16)...)
	b = append(b[:36], append([]byte("data\x00\x00\x00\x00"), make([]byte, 8000*seconds)...)...)
	binary.LittleEndian.PutUint32(b[28:], 8000)
	return b
}

// A model that hears writes down which bytes it was given and how long they play; what is no audio is refused as Workers AI refuses it.
func TestModelsThatHear(t *testing.T) {
	t.Parallel()
	const hears = "@cf/openai/whisper-large-v3-turbo"
	for name, c := range map[string]struct {
		audio  any
		empty  bool
		status int
		want   string
	}{
		"a WAV":                 {base64.StdEncoding.EncodeToString(wav(2)), false, 200, "heard wav of 16044 bytes with SHA-256 "},
		"its length":            {base64.StdEncoding.EncodeToString(wav(2)), false, 200, `"duration":2,`},
		"an MP3's":              {base64.StdEncoding.EncodeToString([]byte("ID3" + strings.Repeat("x", 3997))), false, 200, `"duration":1,`},
		"frames of an MP3":      {base64.StdEncoding.EncodeToString([]byte("\xff\xf3" + strings.Repeat("x", 3998))), false, 200, "heard mp3 of 4000 bytes"},
		"frames of layer II":    {base64.StdEncoding.EncodeToString([]byte("\xff\xfd" + strings.Repeat("x", 3998))), false, 400, "5006"},
		"nothing said":          {base64.StdEncoding.EncodeToString(wav(2)), true, 200, `"text":""`},
		"text":                  {base64.StdEncoding.EncodeToString([]byte("hello")), false, 400, "5006"},
		"nothing":               {"", false, 400, "5006"},
		"none":                  {nil, false, 400, "5006"},
		"that is not in base64": {"UklG*", false, 400, "5006"},
	} {
		body, err := json.Marshal(map[string]any{"inputs": map[string]any{"audio": c.audio}})
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(http.MethodPost, "/run", strings.NewReader(string(body)))
		req.Header.Set("Cf-Consn-Model-Id", hears)
		res := httptest.NewRecorder()
		Handler{Empty: c.empty}.ServeHTTP(res, req)
		if got := res.Body.String(); res.Code != c.status || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s, want %d %s", name, res.Code, got, c.status, c.want)
		}
	}
}

// Any bytes are audio of some length, or none.
func FuzzHear(f *testing.F) {
	f.Add(wav(1))
	f.Add([]byte("ID3"))
	f.Fuzz(func(t *testing.T, audio []byte) {
		if heard, ok := Hear(audio); ok && (heard.Seconds < 0 || heard.Words() == 0) {
			t.Fatalf("%v s, %q", heard.Seconds, heard.Text)
		}
	})
}
