package doubles

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/cognomega/edge/internal/localcloud/runtime/aidouble"
)

// transcriptions is where audio is written down.
const transcriptions = "/audio/transcriptions"

// upload is a form with a file, as OpenAI's transcriptions take it.
type upload struct {
	model, format, name string
	audio               []byte
}

// uploadIn reads the form of a request; false for any other body.
func uploadIn(r *http.Request, body []byte) (u upload, ok bool) {
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	form, err := again.MultipartReader()
	if err != nil {
		return u, false
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return u, errors.Is(err, io.EOF)
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return u, false
		}
		switch part.FormName() {
		case "model":
			u.model = string(value)
		case "response_format":
			u.format = string(value)
		case "file":
			u.name, u.audio = part.FileName(), value
		}
	}
}

// transcribe answers as OpenAI's transcriptions do: only the longer answer says how long the audio was.
func (c chat) transcribe(w http.ResponseWriter, r *http.Request, body []byte, empty bool) {
	u, ok := uploadIn(r, body)
	heard, isAudio := aidouble.Hear(u.audio)
	switch {
	case !ok || !isAudio || u.name == "":
		c.refuse(w, http.StatusBadRequest)
		return
	case !aidouble.Hears(u.model):
		c.refuse(w, http.StatusNotFound)
		return
	}
	if empty {
		heard.Text = ""
	}
	said := map[string]any{"text": heard.Text}
	if u.format == "verbose_json" {
		said = map[string]any{"task": "transcribe", "language": "english", "duration": heard.Seconds, "text": heard.Text, "segments": []any{}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(said)
}
