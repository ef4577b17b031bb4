package platform_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const microPerAudioSecond = 500

// wav is two seconds of silence, at 8,000 samples a second of one byte each.
func wav() string {
	head := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data")
	return string(binary.LittleEndian.AppendUint32(head, 16_000)) + strings.Repeat("\x80", 16_000)
}

// listensTo stores audio and has a question asked about it while Groq is out of order: the next hears it to the byte, what it says is asked
// in its place, and its seconds are charged with the answer.
func (m *money) listensTo(t *testing.T, who string) {
	t.Helper()
	m.must(0, nil, "local", "faults", "set", "groq", "--500", "1")
	defer m.must(0, nil, "local", "faults", "clear")
	sound := wav()
	_, stored := files{m}.send(with(m.user(who), "Content-Type", "audio/wav"), "/api/files?filename=memo.wav", strings.NewReader(sound), int64(len(sound)))
	body := fmt.Sprintf(`{"skill":"general","input":"what is said","attachments":[{"storage":"r2","key":%q,"role":"audio"}]}`, stored["key"])
	var answer struct {
		Result struct {
			Content string
			Meta    struct {
				In      int64   `json:"tokens_in"`
				Out     int64   `json:"tokens_out"`
				Seconds float64 `json:"audio_seconds"`
			}
		}
	}
	code := m.call("POST", "/api/si/ask", body, m.user(who), &answer)
	got, want := answer.Result, fmt.Sprintf("heard wav of %d bytes with SHA-256 %x", len(sound), sha256.Sum256([]byte(sound)))
	if code != http.StatusOK || !strings.Contains(got.Content, want) || got.Meta.Seconds != 2 {
		t.Errorf("%d %+v, want %s", code, got, want)
	}
	amount, attempts := m.awaitCharge(who, "attempts")
	if amount != (got.Meta.In+got.Meta.Out)*microPerToken+2*microPerAudioSecond {
		t.Errorf("audio was charged %d for %+v", amount, got.Meta)
	}
	if !strings.Contains(attempts, "groq whisper-large-v3-turbo failed ") || !strings.Contains(attempts, "cfai @cf/openai/whisper-large-v3-turbo answered ") {
		t.Errorf("heard after %s", attempts)
	}
}
