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
	Empty  bool // answers are well formed and say nothing
}

// maxBody bounds a request: Workers AI takes images and audio, so it is generous.
const maxBody = 20 << 20

type request struct {
	Inputs struct {
		Prompt    string
		Messages  []Message
		Text      any // one text or a list: embeddings
		Audio     any // in base64: models that hear
		Stream    bool
		MaxTokens int `json:"max_tokens"`
	}
}

// Message is one turn of a conversation.
type Message struct {
	Role    string
	Content any // a text, or the parts of one
}

// Text is what a message says in words.
func (m Message) Text() string {
	switch c := m.Content.(type) {
	case string:
		return c
	case []any:
		var all []string
		for _, part := range c {
			if p, ok := part.(map[string]any); ok {
				if text, ok := p["text"].(string); ok {
					all = append(all, text)
				}
			}
		}
		return strings.Join(all, " ")
	}
	return ""
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
	case Hears(model):
		h.hear(w, req)
	default:
		h.generate(w, model, req, fault)
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

// Refuse answers with the error that Workers AI has for a status.
func Refuse(w http.ResponseWriter, status int) {
	code, message := 3040, "Capacity temporarily exceeded, please try again."
	switch status {
	case http.StatusUnauthorized:
		code, message = 10000, "Authentication error"
	case http.StatusPaymentRequired:
		code, message = 4006, "You have used up your daily free allocation of 10,000 neurons."
	case http.StatusInternalServerError:
		code, message = 3043, "Internal server error"
	}
	refuse(w, status, code, message)
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

// messages is the conversation, however it was given.
func (q request) messages() []Message {
	if q.Inputs.Prompt != "" {
		return []Message{{Role: "user", Content: q.Inputs.Prompt}}
	}
	return q.Inputs.Messages
}

// question is the last thing the user said.
func question(messages []Message) string {
	text := ""
	for _, m := range messages {
		if m.Role == "user" {
			text = m.Text()
		}
	}
	return text
}

// Answer is what the double of a model says, in words: the question repeated in one sentence with what was shown, so that a test can see
// that its own words and bytes arrived. A conversation that ends in the model's own words is gone on with. It is whole unless maxTokens cut it.
func Answer(model string, messages []Message, images []Image, maxTokens int) (words []string, whole bool) {
	if maxTokens <= 0 {
		maxTokens = 256
	}
	words = strings.Fields(fmt.Sprintf("This is %s answering locally: you said %q%s.", model[strings.LastIndexByte(model, '/')+1:], question(messages), shown(images)))
	if last := messages[len(messages)-1]; last.Role == "assistant" {
		words = words[min(len(words), len(strings.Fields(last.Text()))):]
		if len(words) > 0 && !strings.HasSuffix(last.Text(), " ") {
			words[0] = " " + words[0]
		}
	}
	return words[:min(len(words), maxTokens)], len(words) <= maxTokens
}

// PromptTokens counts a word as a token.
func PromptTokens(messages []Message, images []Image) (tokens int) {
	for _, m := range messages {
		tokens += len(strings.Fields(m.Text()))
	}
	for _, i := range images {
		tokens += i.ImageTokens()
	}
	return tokens
}

func (h Handler) generate(w http.ResponseWriter, model string, req request, fault Fault) {
	messages := req.messages()
	images, err := Images(messages)
	if err != nil || len(images) > 0 && !Sees(model) {
		refuse(w, http.StatusBadRequest, 5006, "Error: Type mismatch of '/messages/0/content', 'array' not in 'string'")
		return
	}
	if question(messages) == "" && len(images) == 0 {
		refuse(w, http.StatusBadRequest, 5006, "Error: oneOf at '/' not met, 0 matches: required properties at '/' are 'prompt' or 'messages'")
		return
	}
	words, _ := Answer(model, messages, images, req.Inputs.MaxTokens)
	if h.Empty {
		words = nil
	}
	u := usage{Completion: len(words)}
	u.Prompt = PromptTokens(messages, images)
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
