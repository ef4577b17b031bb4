package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

const providersPath = "/api/admin/providers"

// words are what a double repeats, so that a word that is lost or said twice can be seen.
var words = []string{"alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima"}

// saidOnce says whether a text has every word of the question, in order and once.
func saidOnce(text string) bool {
	said := strings.FieldsFunc(text, func(r rune) bool { return r < 'a' || r > 'z' })
	said = slices.DeleteFunc(said, func(w string) bool { return !slices.Contains(words, w) })
	return slices.Equal(said, words)
}

// caller is a made-up account of one round.
type caller struct {
	*bed
	token, name string
}

type question struct {
	first       string
	stream      bool
	open, again bool
	key         string
}

// meta is what an answer says of itself.
type meta struct {
	Finish    string            `json:"finish_reason"`
	Provider  string            `json:"provider"`
	TokensIn  int64             `json:"tokens_in"`
	TokensOut int64             `json:"tokens_out"`
	Attempts  []json.RawMessage `json:"attempts"`
}

// ask asks one question. A key whose first answer is still being kept is asked again.
func (c caller) ask(ctx context.Context, q question) (Asked, error) {
	for {
		a, err := c.askOnce(ctx, q)
		if err != nil || !q.again || a.Status != http.StatusConflict {
			return a, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return a, fault.New(fault.Unavailable, "ask again: %w", ctx.Err())
		}
	}
}

func (c caller) askOnce(ctx context.Context, q question) (Asked, error) {
	a := Asked{First: q.first, Stream: q.stream, Open: q.open, Again: q.again}
	header := map[string]string{"Authorization": "Bearer " + c.token, "X-Intelligence-Tier": c.tier}
	if q.stream {
		header["Accept"] = "text/event-stream"
	}
	if q.key != "" {
		header["Idempotency-Key"] = q.key
	}
	start := time.Now()
	status, body, err := c.send(ctx, http.MethodPost, askPath, header, map[string]any{"skill": "general", "input": strings.Join(words, " "), "provider": q.first, "max_tokens": 64})
	if err != nil {
		return a, err
	}
	a.Status, a.TookUS = status, time.Since(start).Microseconds()
	text, m := wholeOf(body)
	if q.stream && status == http.StatusOK {
		text, m = streamOf(body)
	}
	a.By, a.Finish, a.Text, a.TokensIn, a.TokensOut, a.Attempts = m.Provider, m.Finish, text, m.TokensIn, m.TokensOut, len(m.Attempts)
	return a, nil
}

func wholeOf(body []byte) (string, meta) {
	var doc struct {
		Result struct {
			Content string
			Meta    meta
		}
	}
	_ = json.Unmarshal(body, &doc) // what cannot be read says nothing, and is found by that
	return doc.Result.Content, doc.Result.Meta
}

// streamOf puts the deltas of a stream together; one that is out of its order spoils the text.
func streamOf(body []byte) (text string, m meta) {
	at := 0
	for block := range strings.SplitSeq(string(body), "\n\n") {
		name, data, _ := strings.Cut(strings.TrimPrefix(block, "event: "), "\ndata: ")
		var doc struct {
			Delta  string
			Index  int
			Finish string `json:"finish_reason"`
			Meta   meta
		}
		if json.Unmarshal([]byte(data), &doc) != nil {
			continue
		}
		if name == "done" {
			m, m.Finish = doc.Meta, doc.Finish
			continue
		}
		if doc.Index != at {
			text += fmt.Sprintf(" [%d after %d] ", doc.Index, at)
		}
		text, at = text+doc.Delta, doc.Index+1
	}
	return text, m
}

// maxAnswer is far more than any answer of a double.
const maxAnswer = 1 << 20

func (b *bed) send(ctx context.Context, method, path string, header map[string]string, body any) (int, []byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return 0, nil, fault.New(fault.Internal, "encode a request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, b.t.URL(path), bytes.NewReader(raw))
	if err != nil {
		return 0, nil, fault.New(fault.Internal, "make a request for %s: %w", path, err)
	}
	if method == http.MethodGet {
		req.Body, req.ContentLength = nil, 0
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := b.t.HTTP.Do(req)
	if err != nil {
		return 0, nil, audit.Unreachable(method, b.t.PublicURL(path), err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return 0, nil, audit.Unreachable(method, b.t.PublicURL(path), err)
	}
	return res.StatusCode, answer, nil
}

// operate asks the operator's door and says which of the tier's providers are left alone now.
func (b *bed) operate(ctx context.Context, method string, body any) ([]string, error) {
	status, raw, err := b.send(ctx, method, providersPath, map[string]string{"X-Admin-Key": b.admin}, body)
	var doc struct {
		Models []struct{ Provider, Model, State string }
	}
	if err == nil && (status != http.StatusOK || json.Unmarshal(raw, &doc) != nil) {
		err = fault.New(fault.Unavailable, "%s %s answers %d", method, b.t.PublicURL(providersPath), status).WithHint("cogctl up deploys what this needs")
	}
	var open []string
	for _, m := range doc.Models {
		if b.models[m.Provider] == m.Model && m.State == "open" {
			open = append(open, m.Provider)
		}
	}
	return open, err
}

func (b *bed) open(ctx context.Context) ([]string, error) {
	open, err := b.operate(ctx, http.MethodGet, nil)
	slices.Sort(open)
	return open, err
}

func (b *bed) reset(ctx context.Context) error {
	_, err := b.operate(ctx, http.MethodPost, map[string]any{"action": "reset", "by": "cogctl prove phase2", "why": "the fault matrix"})
	return err
}
