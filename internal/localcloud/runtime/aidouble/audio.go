package aidouble

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Hears says whether a model writes down what is said: by its name, as nobody tells the double.
func Hears(model string) bool { return strings.Contains(model, "whisper") }

// Transcript is what the double of a model that hears writes down.
type Transcript struct {
	Text    string
	Seconds float64
}

// Words is how many words it has.
func (t Transcript) Words() int { return len(strings.Fields(t.Text)) }

// compressed is how many bytes of packed audio the doubles take for a second: 32 kbit/s.
const compressed = 4000

// Hear writes audio down: what it was to the byte, so that a test can see that its own bytes arrived. False where it is no audio.
func Hear(audio []byte) (Transcript, bool) {
	kind := audioKind(audio)
	if kind == "" {
		return Transcript{}, false
	}
	seconds := float64(len(audio)) / compressed
	if rate := wavRate(audio); rate > 0 {
		seconds = float64(len(audio)-wavHead) / float64(rate)
	}
	return Transcript{fmt.Sprintf("heard %s of %d bytes with SHA-256 %x", kind, len(audio), sha256.Sum256(audio)), seconds}, true
}

func audioKind(audio []byte) string {
	for _, k := range []struct {
		kind  string
		at    int
		magic string
	}{
		{"wav", 8, "WAVE"}, {"mp3", 0, "ID3"}, {"ogg", 0, "OggS"}, {"webm", 0, "\x1a\x45\xdf\xa3"}, {"m4a", 4, "ftyp"}, {"flac", 0, "fLaC"},
	} {
		if len(audio) >= k.at && bytes.HasPrefix(audio[k.at:], []byte(k.magic)) {
			return k.kind
		}
	}
	if isLayerIII(audio) {
		return "mp3"
	}
	return ""
}

// isLayerIII says whether audio begins with the header of an MP3's frame (ISO/IEC 11172-3, 2.4.2.3), of any version, with a checksum or without.
func isLayerIII(audio []byte) bool {
	const syncAndLayer, layerIII = 0b111_00_11_0, 0b111_00_01_0
	return len(audio) > 1 && audio[0] == 0xff && audio[1]&syncAndLayer == layerIII
}

// wavHead is the length of the usual head of a WAV.
const wavHead = 44

// wavRate is how many bytes of a WAV with the usual head are a second; 0 of any other audio.
func wavRate(audio []byte) int {
	if len(audio) < wavHead || audioKind(audio) != "wav" || string(audio[12:16]) != "fmt " {
		return 0
	}
	return int(binary.LittleEndian.Uint32(audio[28:32]))
}

func (h Handler) hear(w http.ResponseWriter, req request) {
	text, _ := req.Inputs.Audio.(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	heard, isAudio := Hear(raw)
	if err != nil || !isAudio {
		refuse(w, http.StatusBadRequest, 5006, "Error: required properties at '/' are 'audio'")
		return
	}
	if h.Empty {
		heard.Text = ""
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"text": heard.Text, "word_count": heard.Words(), "segments": []any{},
		"transcription_info": map[string]any{"language": "en", "language_probability": 1, "duration": heard.Seconds, "duration_after_vad": heard.Seconds},
	})
}
