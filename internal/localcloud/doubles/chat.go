package doubles

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/cognomega/edge/internal/localcloud/runtime/aidouble"
)

// chat is the wire format of OpenAI's chat completions, which Groq speaks too.
type chat struct {
	prefix string // of the paths
	groq   bool   // usage of a stream is in x_groq of its last chunk, unasked
}

type chatRequest struct {
	Model         string             `json:"model"`
	Messages      []aidouble.Message `json:"messages"`
	Stream        bool               `json:"stream"`
	MaxTokens     int                `json:"max_tokens"`
	MaxCompletion int                `json:"max_completion_tokens"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

func (chat) model(r *http.Request, body []byte) string {
	if u, ok := uploadIn(r, body); ok {
		return u.model
	}
	var req struct{ Model string }
	_ = json.Unmarshal(body, &req) // a body that is no JSON names no model
	return req.Model
}

// refusals are the words of each error: type and code are what callers tell them apart by.
var refusals = map[int][3]string{
	400: {"invalid_request_error", "", "We could not parse the JSON body of your request."},
	401: {"invalid_request_error", "invalid_api_key", "Incorrect API key provided."},
	402: {"insufficient_quota", "billing_hard_limit_reached", "Billing hard limit has been reached."},
	404: {"invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."},
	413: {"invalid_request_error", "request_too_large", "Request Entity Too Large"},
	429: {"requests", "rate_limit_exceeded", "Rate limit reached for requests."},
	500: {"server_error", "", "The server had an error while processing your request. Sorry about that!"},
}

func (chat) refuse(w http.ResponseWriter, status int) {
	words := refusals[status]
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := map[string]any{"message": words[2], "type": words[0], "param": nil, "code": nil}
	if words[1] != "" {
		e["code"] = words[1]
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"error": e})
}

func (c chat) answer(w http.ResponseWriter, r *http.Request, empty bool) {
	if path, _ := strings.CutPrefix(r.URL.Path, c.prefix); r.Method != http.MethodPost || path != "/chat/completions" && path != transcriptions {
		http.Error(w, "not emulated: "+r.Method+" "+r.URL.Path, http.StatusNotImplemented)
		return
	}
	if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !ok || strings.TrimSpace(key) == "" {
		c.refuse(w, http.StatusUnauthorized)
		return
	}
	var req chatRequest
	body, err := io.ReadAll(r.Body)
	if err == nil && r.URL.Path == c.prefix+transcriptions {
		c.transcribe(w, r, body, empty)
		return
	}
	if err != nil || json.Unmarshal(body, &req) != nil || len(req.Messages) == 0 {
		c.refuse(w, http.StatusBadRequest)
		return
	}
	if req.Model == "" || strings.Contains(req.Model, "no-such") {
		c.refuse(w, http.StatusNotFound)
		return
	}
	images, err := aidouble.Images(req.Messages)
	if err != nil || len(images) > 0 && !aidouble.Sees(req.Model) {
		c.refuse(w, http.StatusBadRequest)
		return
	}
	c.complete(w, req, completionOf(req, images, body, empty))
}

type chatUsage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

// completion is one answer, before it is written down in one way or the other.
type completion struct {
	id, model, finish string
	words             []string
	usage             chatUsage
}

func completionOf(req chatRequest, images []aidouble.Image, body []byte, empty bool) completion {
	limit := max(req.MaxTokens, req.MaxCompletion)
	words, whole := aidouble.Answer(req.Model, req.Messages, images, limit)
	sum := sha256.Sum256(body)
	done := completion{id: "chatcmpl-" + hex.EncodeToString(sum[:12]), model: req.Model, finish: "stop", words: words}
	if !whole {
		done.finish = "length"
	}
	if empty {
		done.words = nil
	}
	done.usage.Prompt = aidouble.PromptTokens(req.Messages, images)
	done.usage.Completion = len(done.words)
	done.usage.Total = done.usage.Prompt + done.usage.Completion
	return done
}

// created is the same in every answer, as all of it is.
const created = 1_767_225_600

func (c chat) complete(w http.ResponseWriter, req chatRequest, done completion) {
	if req.Stream {
		c.stream(w, req, done)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"id": done.id, "object": "chat.completion", "created": created, "model": done.model, "usage": done.usage,
		"choices": []any{map[string]any{
			"index": 0, "finish_reason": done.finish, "message": map[string]any{"role": "assistant", "content": strings.Join(done.words, " ")},
		}},
	})
}

// stream sends the role, one chunk a word, the reason for the end, and the usage where the provider sends it.
func (c chat) stream(w http.ResponseWriter, req chatRequest, done completion) {
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(delta map[string]any, finish any, more map[string]any) {
		chunk := map[string]any{"id": done.id, "object": "chat.completion.chunk", "created": created, "model": done.model, "choices": []any{}}
		if delta != nil {
			chunk["choices"] = []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}}
		}
		for k, v := range more {
			chunk[k] = v
		}
		b, _ := json.Marshal(chunk) // plain data always encodes
		_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	send(map[string]any{"role": "assistant", "content": ""}, nil, nil)
	for i, word := range done.words {
		if i > 0 {
			word = " " + word
		}
		send(map[string]any{"content": word}, nil, nil)
	}
	last := map[string]any{}
	if c.groq {
		last["x_groq"] = map[string]any{"id": done.id, "usage": done.usage}
	}
	send(map[string]any{}, done.finish, last)
	if req.StreamOptions.IncludeUsage && !c.groq {
		send(nil, nil, map[string]any{"usage": done.usage})
	}
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
}

func itoa(n int) string { return strconv.Itoa(n) }
