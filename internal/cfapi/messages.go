package cfapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// QueueState is a queue with those who take its messages.
type QueueState struct {
	Queue
	Consumers []Consumer
}

// QueueStates lists every queue of the account with its consumers.
func (c *Client) QueueStates(ctx context.Context) ([]QueueState, error) {
	type answer struct {
		Queue
		Consumers []consumerAnswer `json:"consumers"`
	}
	answers, err := all[answer](ctx, c, call{doing: "list queues", method: http.MethodGet, path: "/accounts/" + c.account + "/queues"}, "100")
	states := make([]QueueState, 0, len(answers))
	for _, a := range answers {
		s := QueueState{Queue: a.Queue}
		for _, one := range a.Consumers {
			s.Consumers = append(s.Consumers, one.consumer())
		}
		states = append(states, s)
	}
	return states, err
}

// PauseQueue stops or resumes delivery; the queue goes on taking messages.
func (c *Client) PauseQueue(ctx context.Context, queueID string, paused bool) error {
	_, err := c.do(ctx, call{
		doing: "set the delivery of queue " + queueID, method: http.MethodPatch, path: c.queuePath(queueID, ""),
		body: map[string]any{"settings": map[string]bool{"delivery_paused": paused}},
	}, nil)
	return err
}

// Backlog is how much waits in a queue. Cloudflare's own figures follow events within seconds, not at once.
type Backlog struct {
	Messages int64     `json:"backlog_count"`
	Bytes    int64     `json:"backlog_bytes"`
	OldestMS int64     `json:"oldest_message_timestamp_ms"`
	Oldest   time.Time `json:"-"` // zero: nothing waits, or the API does not say
}

// QueueBacklog reads how much waits.
func (c *Client) QueueBacklog(ctx context.Context, queueID string) (Backlog, error) {
	var b Backlog
	_, err := c.do(ctx, call{doing: "read the backlog of queue " + queueID, method: http.MethodGet, path: c.queuePath(queueID, "/metrics")}, &b)
	if b.OldestMS > 0 {
		b.Oldest = time.UnixMilli(b.OldestMS).UTC()
	}
	return b, err
}

// Pulled is a message that nobody else gets until its lease ends, or it is settled.
type Pulled struct {
	ID          string
	LeaseID     string
	Attempts    int
	Sent        time.Time
	ContentType string // json, text, bytes or v8
	Body        []byte
}

// JSON is the body as a value that SendMessages takes; false for bytes and v8, which the API has no way to send.
func (p Pulled) JSON() (json.RawMessage, bool) {
	switch p.ContentType {
	case "json":
		return p.Body, json.Valid(p.Body)
	case "text":
		raw, err := json.Marshal(string(p.Body))
		return raw, err == nil
	}
	return nil, false
}

// PullMessages leases up to limit messages for so long. It needs a pull consumer, and is refused while delivery is paused.
func (c *Client) PullMessages(ctx context.Context, queueID string, limit int, visibility time.Duration) ([]Pulled, error) {
	var answer struct {
		Messages []struct {
			ID        string            `json:"id"`
			LeaseID   string            `json:"lease_id"`
			Attempts  int               `json:"attempts"`
			Timestamp float64           `json:"timestamp_ms"`
			Body      string            `json:"body"`
			Metadata  map[string]string `json:"metadata"`
		} `json:"messages"`
	}
	_, err := c.do(ctx, call{
		doing: "pull messages of queue " + queueID, method: http.MethodPost, path: c.queuePath(queueID, "/messages/pull"),
		body: map[string]any{"batch_size": limit, "visibility_timeout_ms": visibility.Milliseconds()},
	}, &answer)
	pulled := make([]Pulled, 0, len(answer.Messages))
	for _, m := range answer.Messages {
		kind := m.Metadata["CF-Content-Type"]
		pulled = append(pulled, Pulled{m.ID, m.LeaseID, m.Attempts, time.UnixMilli(int64(m.Timestamp)).UTC(), kind, pulledBody(kind, m.Body)})
	}
	return pulled, err
}

// pulledBody undoes base64 where it was used. The documentation says base64 for all but text; an API that gives JSON as it is, is
// understood too.
func pulledBody(kind, body string) []byte {
	if kind == "text" {
		return []byte(body)
	}
	raw, err := base64.StdEncoding.DecodeString(body)
	if err != nil || kind == "json" && !json.Valid(raw) && json.Valid([]byte(body)) {
		return []byte(body)
	}
	return raw
}

// SettleMessages takes leased messages out of the queue, and gives others back at once. It answers how many of each were settled: those
// whose lease had ended are not among them.
func (c *Client) SettleMessages(ctx context.Context, queueID string, done, back []string) (acked, retried int, err error) {
	type lease struct {
		ID string `json:"lease_id"`
	}
	type retry struct {
		ID    string `json:"lease_id"`
		Delay int    `json:"delay_seconds"`
	}
	request := struct {
		Acks    []lease `json:"acks"`
		Retries []retry `json:"retries"`
	}{[]lease{}, []retry{}}
	for _, id := range done {
		request.Acks = append(request.Acks, lease{id})
	}
	for _, id := range back {
		request.Retries = append(request.Retries, retry{id, 0})
	}
	var answer struct {
		Acked   int `json:"ackCount"`
		Retried int `json:"retryCount"`
	}
	_, err = c.do(ctx, call{doing: "settle messages of queue " + queueID, method: http.MethodPost, path: c.queuePath(queueID, "/messages/ack"), body: request}, &answer)
	return answer.Acked, answer.Retried, err
}

// The limits of one send.
const (
	MaxSendMessages = 100
	MaxSendBytes    = 256_000
)

// SendMessages sends JSON values in one batch: all are taken, or none.
func (c *Client) SendMessages(ctx context.Context, queueID string, bodies []json.RawMessage) error {
	type message struct {
		Body        json.RawMessage `json:"body"`
		ContentType string          `json:"content_type"`
	}
	messages := make([]message, 0, len(bodies))
	for _, body := range bodies {
		messages = append(messages, message{bytes.TrimSpace(body), "json"})
	}
	_, err := c.do(ctx, call{
		doing: "send to queue " + queueID, method: http.MethodPost, path: c.queuePath(queueID, "/messages/batch"), body: map[string]any{"messages": messages},
	}, nil)
	return err
}

func (c *Client) queuePath(queueID, rest string) string {
	return "/accounts/" + url.PathEscape(c.account) + "/queues/" + url.PathEscape(queueID) + rest
}
