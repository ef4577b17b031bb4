package platform_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// chatFailure is what OpenAI's client makes of an error.
type chatFailure struct {
	Name, Code, Type, Message string
	Status                    int
}

// OpenAI's own client, unchanged, works on the platform with a token of the platform.
func TestOpenAIsClientWorks(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	var got struct {
		Whole struct {
			ID, Object, Model string
			Choices           []struct {
				FinishReason string `json:"finish_reason"`
				Message      struct{ Role, Content string }
			}
			Usage struct {
				Prompt     int `json:"prompt_tokens"`
				Completion int `json:"completion_tokens"`
				Total      int `json:"total_tokens"`
			}
		}
		Provider string
		Streamed struct {
			Content, Finish string
			Chunks          int
			Usage           *struct {
				Total int `json:"total_tokens"`
			}
		}
		Helper                        string
		Left                          bool
		Seen                          []struct{ Model, Content string }
		BadKey, BadModel, BadMessages chatFailure
		Heard                         string
		BadImage, BadAudio            chatFailure
	}
	m.openai("client@example.test", &got)
	w := got.Whole
	if w.Object != "chat.completion" || len(w.Choices) != 1 || w.Choices[0].Message.Role != "assistant" || w.Choices[0].FinishReason != "stop" || got.Provider == "" {
		t.Fatalf("an answer of %q: %+v", got.Provider, w)
	}
	text := w.Choices[0].Message.Content
	if text == "" || w.Usage.Prompt == 0 || w.Usage.Completion == 0 || w.Usage.Total != w.Usage.Prompt+w.Usage.Completion {
		t.Errorf("%q and %+v", text, w.Usage)
	}
	if s := got.Streamed; s.Content != text || s.Finish != "stop" || s.Chunks < 3 || s.Usage == nil || s.Usage.Total != w.Usage.Total {
		t.Errorf("a stream: %+v, want %q", s, text)
	}
	if got.Helper != text || !got.Left {
		t.Errorf("the helper for streams gave %q; left: %v", got.Helper, got.Left)
	}
	const pixel = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	for i, model := range []string{"meta-llama/llama-4-scout-17b-16e-instruct", "gpt-4o"} {
		want := fmt.Sprintf("you said \"What is it?\" and showed image/png of 16 bytes with SHA-256 %x.", sha256.Sum256([]byte(pixel)))
		if i >= len(got.Seen) || got.Seen[i].Model != model || !strings.HasSuffix(got.Seen[i].Content, want) {
			t.Errorf("shown to %s: %+v, want %s", model, got.Seen, want)
		}
	}
	if want := "you said \"heard wav of 4044 bytes with SHA-256 "; !strings.Contains(got.Heard, want) {
		t.Errorf("heard %q, want %s", got.Heard, want)
	}
	for what, want := range map[string]struct {
		failure chatFailure
		name    string
		status  int
	}{
		"a bad key":      {got.BadKey, "AuthenticationError", 401},
		"a bad model":    {got.BadModel, "NotFoundError", 404},
		"a bad question": {got.BadMessages, "BadRequestError", 400},
		"a bad image":    {got.BadImage, "BadRequestError", 400},
		"bad audio":      {got.BadAudio, "BadRequestError", 400},
	} {
		if f := want.failure; f.Name != want.name || f.Status != want.status || f.Code == "" || f.Type != "invalid_request_error" {
			t.Errorf("%s: %+v, want %s", what, f, want.name)
		}
	}
}

// openai runs a program that uses the client, as this caller, and decodes what it prints.
func (m *money) openai(caller string, out any) {
	m.t.Helper()
	e := m.endpoints()
	_, port, err := net.SplitHostPort(e.EdgeHTTPS)
	if err != nil {
		m.t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/openai.mjs")
	if err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.CommandContext(m.t.Context(), "node", script)
	cmd.Env = append(cmd.Environ(), "NODE_EXTRA_CA_CERTS="+e.CAFile, "PACKAGES="+filepath.Join(m.root, "workers"),
		"BASE_URL="+m.edge+":"+port+"/v1", "TOKEN="+strings.TrimPrefix(m.user(caller)["Authorization"], "Bearer "))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	printed, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(printed, out)
	}
	if err != nil {
		m.t.Fatalf("%v: %s%s", err, printed, errs.Bytes())
	}
}
