package cfapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/internal/fault"
)

// Message is one entry of an envelope's errors.
type Message struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Refusal is an answer of the API with a status of 400 or more, in the API's own codes and words.
type Refusal struct {
	Status     int
	Method     string
	Path       string
	Ray        string
	RetryAfter time.Duration
	Messages   []Message
}

// Code is the API's first error number, 0 when it gave none.
func (r *Refusal) Code() int {
	if len(r.Messages) == 0 {
		return 0
	}
	return r.Messages[0].Code
}

func (r *Refusal) Error() string {
	var words []string
	for _, m := range r.Messages {
		switch {
		case m.Code == 0:
			words = append(words, m.Message)
		default:
			words = append(words, fmt.Sprintf("%d %s", m.Code, m.Message))
		}
	}
	if len(words) == 0 {
		words = []string{fmt.Sprintf("HTTP %d %s", r.Status, http.StatusText(r.Status))}
	}
	return "Cloudflare says " + strings.Join(words, "; ")
}

// passing is true for what a later attempt may get past.
func (r *Refusal) passing() bool {
	switch {
	case r.Status == http.StatusTooManyRequests, r.Status == http.StatusRequestTimeout:
		return true
	default:
		return r.Status >= 500 && r.Status != http.StatusNotImplemented
	}
}

// Code is the API's error number in err's chain, 0 when there is none.
func Code(err error) int {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code()
	}
	return 0
}

// HasCode is true when one of the API's error numbers in err's chain is code.
func HasCode(err error, code int) bool {
	var r *Refusal
	if !errors.As(err, &r) {
		return false
	}
	for _, m := range r.Messages {
		if m.Code == code {
			return true
		}
	}
	return false
}

// fail turns what a call ended with into the one error type, saying what was being done.
func fail(doing string, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return &fault.Error{Kind: known.Kind, Msg: doing, Hint: known.Hint, Err: known}
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return &fault.Error{Kind: kindOf(refusal), Msg: doing, Hint: hintFor(refusal), Err: refusal}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &fault.Error{Kind: fault.Unavailable, Msg: doing, Hint: "give it more time: --timeout", Err: err}
	}
	return &fault.Error{
		Kind: fault.Unavailable, Msg: doing, Err: err,
		Hint: "is the API reachable from here? `cogctl doctor` looks; for the platform on this machine run `cogctl up`",
	}
}

// refusedEnvelope is for the families that answer 200 with success false.
func refusedEnvelope(r call, messages []cloudflare.ResponseInfo) *Refusal {
	refusal := &Refusal{Status: http.StatusBadRequest, Method: r.method, Path: r.path}
	for _, m := range messages {
		refusal.Messages = append(refusal.Messages, Message{Code: m.Code, Message: m.Message})
	}
	return refusal
}

// parseRefusal is tolerant: a code may be null, an entry a bare string, and the body HTML from a proxy in between.
func parseRefusal(body []byte) *Refusal {
	var envelope struct {
		Errors []json.RawMessage `json:"errors"`
	}
	r := &Refusal{}
	if json.Unmarshal(body, &envelope) != nil {
		if text := plainText(body); text != "" {
			r.Messages = []Message{{Message: text}}
		}
		return r
	}
	for _, raw := range envelope.Errors {
		var m Message
		if json.Unmarshal(raw, &m) != nil {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			m = Message{Message: text}
		}
		r.Messages = append(r.Messages, m)
	}
	return r
}

// plainText is the title of an HTML page, or the start of any other text: enough to recognise it by.
func plainText(body []byte) string {
	text := body
	if _, after, found := bytes.Cut(body, []byte("<title>")); found {
		text, _, _ = bytes.Cut(after, []byte("</title>"))
	}
	words := strings.Join(strings.Fields(string(text)), " ")
	if runes := []rune(words); len(runes) > 200 {
		words = string(runes[:200]) + " …"
	}
	return words
}
