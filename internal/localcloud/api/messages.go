package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) messages() []endpoint {
	const one = "/accounts/{account}/queues/{queue}"
	r, w := reads(groupQueues), writes(groupQueues)
	return []endpoint{
		{method: "POST", pattern: one + "/messages", permission: w, handle: s.pushMessage},
		{method: "POST", pattern: one + "/messages/batch", permission: w, handle: s.pushBatch},
		{method: "POST", pattern: one + "/messages/pull", permission: w, handle: s.pull},
		{method: "POST", pattern: one + "/messages/ack", permission: w, handle: s.ack},
		{method: "GET", pattern: one + "/metrics", permission: r, handle: s.queueMetrics},
		{method: "POST", pattern: one + "/purge", permission: w, handle: s.purge},
		{method: "GET", pattern: one + "/purge", permission: r, handle: s.purgeStatus},
	}
}

type messageRequest struct {
	Body        json.RawMessage `json:"body"`
	ContentType string          `json:"content_type"`
	Delay       *int            `json:"delay_seconds"`
}

func (m messageRequest) message(delay int) (store.Message, error) {
	set(&delay, m.Delay)
	out := store.Message{Body: m.Body, ContentType: m.ContentType, Delay: time.Duration(delay) * time.Second}
	switch {
	case m.Body == nil:
		return out, bad(10207, "a message needs a body")
	case delay < 0 || out.Delay > store.MaxDelay:
		return out, bad(10207, "delay_seconds must be between 0 and 86400")
	}
	switch m.ContentType {
	case "", "json":
		out.ContentType = "json"
	case "text":
		var text string
		if err := json.Unmarshal(m.Body, &text); err != nil {
			return out, bad(10207, "the body of a text message must be a string")
		}
		out.Body = []byte(text)
	default:
		return out, bad(10207, "content_type %q is neither json nor text", m.ContentType)
	}
	if len(out.Body) > store.MaxMessageBytes {
		return out, fail(413, 10207, "a message of %d bytes is larger than the limit of %d", len(out.Body), store.MaxMessageBytes)
	}
	return out, nil
}

func (s *server) pushMessage(c *call) (any, error) {
	var req messageRequest
	if err := c.decodeAs(10207, &req); err != nil {
		return nil, err
	}
	return s.push(c, 0, req)
}

func (s *server) pushBatch(c *call) (any, error) {
	var req struct {
		Messages []messageRequest `json:"messages"`
		Delay    int              `json:"delay_seconds"`
	}
	if err := c.decodeAs(10207, &req); err != nil {
		return nil, err
	}
	if len(req.Messages) == 0 || len(req.Messages) > store.MaxBatchMessages {
		return nil, bad(10207, "a batch has 1 to %d messages", store.MaxBatchMessages)
	}
	return s.push(c, req.Delay, req.Messages...)
}

func (s *server) push(c *call, delay int, requests ...messageRequest) (any, error) {
	q, err := s.queue(c)
	if err != nil {
		return nil, err
	}
	if delay == 0 {
		delay = q.DelayS
	}
	var messages []store.Message
	total := 0
	for _, r := range requests {
		m, err := r.message(delay)
		if err != nil {
			return nil, err
		}
		total += len(m.Body)
		messages = append(messages, m)
	}
	if total > store.MaxBatchBytes {
		return nil, fail(413, 10207, "a batch of %d bytes is larger than the limit of %d", total, store.MaxBatchBytes)
	}
	return nil, s.Store.Queues().Send(q.ID, messages)
}

type pulled struct {
	ID        string            `json:"id"`
	Body      string            `json:"body"`
	Attempts  int               `json:"attempts"`
	LeaseID   string            `json:"lease_id"`
	Timestamp int64             `json:"timestamp_ms"`
	Metadata  map[string]string `json:"metadata"`
}

// body is text as it is, and anything else in base64.
func viewPulled(m store.Leased) pulled {
	body := string(m.Body)
	if m.ContentType != "text" {
		body = base64.StdEncoding.EncodeToString(m.Body)
	}
	return pulled{m.ID, body, m.Attempts, m.LeaseID, m.Sent.UnixMilli(), map[string]string{"CF-Content-Type": m.ContentType, "CF-sourceMessageSource": "http"}}
}

func (s *server) pullConsumer(c *call) (store.Queue, store.Consumer, error) {
	q, err := s.queue(c)
	if err != nil {
		return q, store.Consumer{}, err
	}
	for _, consumer := range q.Consumers {
		if consumer.Type == "http_pull" {
			return q, consumer, nil
		}
	}
	return q, store.Consumer{}, bad(10207, "Queue '%s' has no http_pull consumer.", q.Name)
}

func (s *server) pull(c *call) (any, error) {
	q, consumer, err := s.pullConsumer(c)
	if err != nil {
		return nil, err
	}
	if q.Paused {
		return nil, fail(http.StatusConflict, 10207, "queue_delivery_paused")
	}
	req := struct {
		BatchSize    int `json:"batch_size"`
		VisibilityMS int `json:"visibility_timeout_ms"`
	}{consumer.BatchSize, consumer.VisibilityMS}
	if err := c.decodeAs(10207, &req); err != nil {
		return nil, err
	}
	visibility := time.Duration(req.VisibilityMS) * time.Millisecond
	if req.BatchSize < 1 || req.BatchSize > store.MaxBatchMessages || visibility <= 0 || visibility > store.MaxVisibility {
		return nil, bad(10207, "batch_size must be between 1 and 100, and visibility_timeout_ms between 1 and 43200000")
	}
	leased, err := s.Store.Queues().Lease(q.ID, req.BatchSize, store.MaxBatchBytes, visibility)
	if err != nil {
		return nil, err
	}
	return s.deliver(q, consumer, leased)
}

// deliver gives what may still be tried, and moves what was tried too often to the dead letter queue.
func (s *server) deliver(q store.Queue, consumer store.Consumer, leased []store.Leased) (any, error) {
	messages, dead := []pulled{}, []string{}
	for _, m := range leased {
		if m.Attempts > consumer.MaxRetries+1 {
			dead = append(dead, m.ID)
			continue
		}
		messages = append(messages, viewPulled(m))
	}
	if len(dead) > 0 {
		target, err := s.queueNamed(consumer.DeadLetterQueue)
		if err != nil {
			return nil, err
		}
		if err := s.Store.Queues().Settle(q.ID, store.Settlement{DeadLetter: dead, DeadLetterQueue: target}); err != nil {
			return nil, err
		}
	}
	metrics, err := s.backlog(q.ID)
	return map[string]any{"message_backlog_count": metrics.Count, "messages": messages, "metadata": map[string]any{"metrics": metrics}}, err
}

// queueNamed is the id of a queue by name, and empty for none.
func (s *server) queueNamed(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	var id string
	err := s.Store.View(func(tx *store.Tx) error {
		q, err := find(tx, store.Queues, "", func(q store.Queue) bool { return q.Name == name })
		id = q.ID
		return orNil(err)
	})
	return id, err
}

type ackRequest struct {
	Acks []struct {
		LeaseID string `json:"lease_id"`
	} `json:"acks"`
	Retries []struct {
		LeaseID string `json:"lease_id"`
		Delay   *int   `json:"delay_seconds"`
	} `json:"retries"`
}

// ack settles each message by its lease; one whose lease has ended becomes a warning, for somebody else may have it by now.
func (s *server) ack(c *call) (any, error) {
	q, consumer, err := s.pullConsumer(c)
	if err != nil {
		return nil, err
	}
	var req ackRequest
	if err := c.decodeAs(10207, &req); err != nil {
		return nil, err
	}
	var settle store.Settlement
	warnings := map[string]string{}
	resolve := func(lease string) (string, bool) {
		id, err := s.Store.Queues().ResolveLease(q.ID, lease)
		if err != nil {
			warnings[lease] = "the lease is unknown or has ended"
		}
		return id, err == nil
	}
	for _, a := range req.Acks {
		if id, ok := resolve(a.LeaseID); ok {
			settle.Ack = append(settle.Ack, id)
		}
	}
	for _, r := range req.Retries {
		if id, ok := resolve(r.LeaseID); ok {
			delay := consumer.RetryDelayS
			set(&delay, r.Delay)
			settle.Retry = append(settle.Retry, store.Retrial{ID: id, Delay: time.Duration(delay) * time.Second})
		}
	}
	err = orNil(s.Store.Queues().Settle(q.ID, settle))
	return map[string]any{"ackCount": len(settle.Ack), "retryCount": len(settle.Retry), "warnings": warnings}, err
}

type queueMetrics struct {
	Count  int64 `json:"backlog_count"`
	Bytes  int64 `json:"backlog_bytes"`
	Oldest int64 `json:"oldest_message_timestamp_ms"`
}

func (s *server) backlog(id string) (queueMetrics, error) {
	count, size, oldest, err := s.Store.Queues().Backlog(id)
	m := queueMetrics{Count: count, Bytes: size}
	if !oldest.IsZero() {
		m.Oldest = oldest.UnixMilli()
	}
	return m, err
}

func (s *server) queueMetrics(c *call) (any, error) {
	q, err := s.queue(c)
	if err != nil {
		return nil, err
	}
	return s.backlog(q.ID)
}

func (s *server) purge(c *call) (any, error) {
	q, err := s.queue(c)
	if err != nil {
		return nil, err
	}
	var req struct {
		Sure bool `json:"delete_messages_permanently"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if !req.Sure {
		return nil, bad(10026, "delete_messages_permanently must be true")
	}
	if err := s.Store.Queues().Purge(q.ID); err != nil {
		return nil, err
	}
	return s.getQueue(c)
}

func (s *server) purgeStatus(c *call) (any, error) {
	if _, err := s.queue(c); err != nil {
		return nil, err
	}
	return map[string]any{"started_at": "", "completed": "true"}, nil
}
