// Package aidouble is a local double of Workers AI: real HTTP in its wire format, with answers that depend on the question alone.
package aidouble

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"
)

// Fault is what goes wrong with a request, for tests of callers.
type Fault struct {
	Latency time.Duration // before the answer
	Status  int           // answered instead, when not 0
	Cut     int           // a stream breaks off after so many events, when not 0
}

// Handler answers env.AI.run. Faults, when set, is asked on every request.
type Handler struct {
	Faults func(model string) Fault
}

// maxBody bounds a request: Workers AI takes images and audio, so it is generous.
const maxBody = 20 << 20

type request struct {
	Inputs struct {
		Prompt   string
		Messages []struct {
			Role    string
			Content any
		}
		Text      any // one text or a list: embeddings
		Stream    bool
		MaxTokens int `json:"max_tokens"`
	}
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	model := r.Header.Get("cf-consn-model-id")
	var fault Fault
	if h.Faults != nil {
		fault = h.Faults(model)
	}
	if fault.Latency > 0 {
		select {
		case <-time.After(fault.Latency):
		case <-r.Context().Done():
			return
		}
	}
	if r.URL.Path != "/run" || r.Method != http.MethodPost {
		refuse(w, http.StatusNotImplemented, 5000, "not emulated: "+r.Method+" "+r.URL.Path)
		return
	}
	if fault.Status != 0 {
		refuse(w, fault.Status, 3040, "Capacity temporarily exceeded, please try again.")
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var req request
	if err != nil || len(body) > maxBody || json.Unmarshal(body, &req) != nil {
		refuse(w, http.StatusBadRequest, 5004, "Invalid input: the body is not JSON that this model takes")
		return
	}
	w.Header().Set("cf-ai-req-id", requestID(model, body))
	switch {
	case !known(model):
		refuse(w, http.StatusBadRequest, 5007, fmt.Sprintf("No such model %s or task", model))
	case isEmbedding(model):
		embed(w, model, req)
	default:
		generate(w, model, req, fault)
	}
}

// known accepts the names that Workers AI models have.
func known(model string) bool {
	parts := strings.Split(model, "/")
	return (len(parts) == 3 && (parts[0] == "@cf" || parts[0] == "@hf")) && parts[1] != "" && parts[2] != "" && !strings.Contains(model, "no-such")
}

func isEmbedding(model string) bool {
	for _, s := range []string{"bge-", "embedding", "/plamo"} {
		if strings.Contains(model, s) {
			return true
		}
	}
	return false
}

func refuse(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"internalCode": code, "name": "AiError", "message": "AiError: " + message, "description": message,
		"errors": []map[string]any{{"code": code, "message": message}},
	})
}

func requestID(model string, body []byte) string {
	sum := sha256.Sum256(append([]byte(model+"\n"), body...))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// question is the last thing the user said.
func (q request) question() string {
	text := q.Inputs.Prompt
	for _, m := range q.Inputs.Messages {
		if s, ok := m.Content.(string); ok && m.Role == "user" {
			text = s
		}
	}
	return text
}

// answer repeats the question in one sentence, so that a test can see that its own words arrived.
func answer(model, question string, maxTokens int) []string {
	if maxTokens <= 0 {
		maxTokens = 256
	}
	words := strings.Fields(fmt.Sprintf("This is %s answering locally: you said %q.", model[strings.LastIndexByte(model, '/')+1:], question))
	return words[:min(len(words), maxTokens)]
}

func generate(w http.ResponseWriter, model string, req request, fault Fault) {
	question := req.question()
	if question == "" {
		refuse(w, http.StatusBadRequest, 5006, "Error: oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt' or 'messages'")
		return
	}
	words := answer(model, question, req.Inputs.MaxTokens)
	u := usage{Prompt: len(strings.Fields(question)), Completion: len(words)}
	u.Total = u.Prompt + u.Completion
	if req.Inputs.Stream {
		stream(w, words, u, fault.Cut)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"response": strings.Join(words, " "), "tool_calls": []any{}, "usage": u})
}

// stream sends one event a word, then the usage, then the end mark.
func stream(w http.ResponseWriter, words []string, u usage, cut int) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := func() {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	for i, word := range words {
		if cut > 0 && i == cut {
			flush()
			panic(http.ErrAbortHandler)
		}
		if i > 0 {
			word = " " + word
		}
		event(w, map[string]any{"response": word})
		flush()
	}
	event(w, map[string]any{"response": "", "usage": u})
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
	flush()
}

func event(w io.Writer, v any) {
	b, err := json.Marshal(v)
	if err == nil {
		_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
	}
}

func embed(w http.ResponseWriter, model string, req request) {
	var texts []string
	switch t := req.Inputs.Text.(type) {
	case string:
		texts = []string{t}
	case []any:
		for _, one := range t {
			s, ok := one.(string)
			if !ok {
				refuse(w, http.StatusBadRequest, 5006, "Error: Type mismatch of '/text', 'array' not in 'string','array'")
				return
			}
			texts = append(texts, s)
		}
	}
	if len(texts) == 0 || len(texts) > 100 {
		refuse(w, http.StatusBadRequest, 5006, "Error: required properties at '/' are 'text'")
		return
	}
	size := dimensions(model)
	data := make([][]float64, len(texts))
	for i, text := range texts {
		data[i] = vector(model, text, size)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"shape": []int{len(texts), size}, "data": data, "pooling": "mean"})
}

func dimensions(model string) int {
	switch {
	case strings.Contains(model, "small"):
		return 384
	case strings.Contains(model, "large"), strings.Contains(model, "m3"):
		return 1024
	}
	return 768
}

// vector is of length one, and the same for the same text.
func vector(model, text string, size int) []float64 {
	v := make([]float64, size)
	norm := 0.0
	for i := 0; i < size; i += 8 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", model, i, text))
		for j := 0; j < 8 && i+j < size; j++ {
			x := float64(binary.BigEndian.Uint32(sum[4*j:]))/math.MaxUint32*2 - 1
			v[i+j] = x
			norm += x * x
		}
	}
	for i := range v {
		v[i] /= math.Sqrt(norm)
	}
	return v
}
