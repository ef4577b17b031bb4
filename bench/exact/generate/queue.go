package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// queue is the platform's queue of usage, reached through the account's API. Where that is may change when the cloud is started again.
type queue struct {
	dir, name string

	mu sync.Mutex
	at endpoint
}

type endpoint struct {
	base, token, id string
}

// deliver sends a batch until an answer comes that was not thrown away, and says how many times it was sent again.
func (q *queue) deliver(ctx context.Context, batch []event, lose func() bool) (again int, err error) {
	body, err := encode(batch)
	if err != nil {
		return 0, err
	}
	for ; ; again++ {
		err := q.post(ctx, body)
		if err == nil && !lose() {
			return again, nil
		}
		if err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return again, fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func encode(batch []event) ([]byte, error) {
	type message struct {
		Body        event  `json:"body"`
		ContentType string `json:"content_type"`
	}
	var body struct {
		Messages []message `json:"messages"`
	}
	for _, e := range batch {
		body.Messages = append(body.Messages, message{e, "json"})
	}
	return json.Marshal(body)
}

func (q *queue) post(ctx context.Context, body []byte) error {
	at, err := q.endpoint(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := call(ctx, at, http.MethodPost, "/queues/"+at.id+"/messages/batch", body, nil); err != nil {
		q.mu.Lock()
		q.at = endpoint{} // it may be elsewhere by now
		q.mu.Unlock()
		return err
	}
	return nil
}

func (q *queue) endpoint(ctx context.Context) (endpoint, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.at.id != "" {
		return q.at, nil
	}
	at, err := find(q.dir)
	if err != nil {
		return at, err
	}
	var queues []struct {
		ID   string `json:"queue_id"`
		Name string `json:"queue_name"`
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := call(ctx, at, http.MethodGet, "/queues", nil, &queues); err != nil {
		return at, err
	}
	for _, found := range queues {
		if found.Name == q.name {
			at.id = found.ID
			q.at = at
			return at, nil
		}
	}
	return at, fmt.Errorf("the account has no queue %s", q.name)
}

// find reads where the local cloud says it serves.
func find(dir string) (endpoint, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "endpoints.json"))
	if err != nil {
		return endpoint{}, err
	}
	var e struct {
		Account   string `json:"account_id"`
		API       string `json:"api_http"`
		TokenFile string `json:"token_file"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return endpoint{}, err
	}
	token, err := os.ReadFile(e.TokenFile)
	return endpoint{base: e.API + "/accounts/" + e.Account, token: string(bytes.TrimSpace(token))}, err
}

func call(ctx context.Context, at endpoint, method, path string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, at.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+at.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, res.Status)
	}
	if out == nil {
		return nil
	}
	var envelope struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return err
	}
	return json.Unmarshal(envelope.Result, out)
}
