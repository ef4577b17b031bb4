package runtime

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// serveQueue speaks workerd's protocol for queue producers (src/workerd/api/queue.c++). It answers after the messages are durable.
func (b *backend) serveQueue(w http.ResponseWriter, r *http.Request, name string) {
	q, err := b.queueNamed(name)
	if err != nil {
		refuseQueue(w, err)
		return
	}
	switch r.URL.Path {
	case "/message":
		err = b.queueMessage(r, q)
	case "/batch":
		err = b.queueBatch(r, q)
	case "/metrics":
		b.queueMetrics(w, q.ID, false)
		return
	default:
		err = fault.New(fault.Unsupported, "unknown queue operation %s", r.URL.Path)
	}
	if err != nil {
		refuseQueue(w, err)
		return
	}
	b.queueMetrics(w, q.ID, true)
}

// queueNamed finds a queue by the name that bindings use.
func (b *backend) queueNamed(name string) (store.Queue, error) {
	var found store.Queue
	err := b.store.View(func(tx *store.Tx) error {
		// Every message asks, so what was found once is looked at first: it may be gone by now, or be another of the same name.
		if id, ok := b.queueIDs.Load(name); ok && tx.Get(store.Queues, id.(string), &found) == nil && found.Name == name {
			return nil
		}
		qs, err := store.All[store.Queue](tx, store.Queues, "")
		for _, q := range qs {
			if q.Name == name {
				found = q
				b.queueIDs.Store(name, q.ID)
				return nil
			}
		}
		return errors.Join(err, fault.New(fault.NotFound, "there is no queue %q", name))
	})
	return found, err
}

// maxSendBody is a full batch in base64, with room for what surrounds it.
const maxSendBody = 1 << 20

func (b *backend) queueMessage(r *http.Request, q store.Queue) error {
	body, err := readBody(r, store.MaxMessageBytes)
	if err != nil {
		return err
	}
	delay, err := sendDelay(r.Header.Get("X-Msg-Delay-Secs"), q)
	if err != nil {
		return err
	}
	return b.store.Queues().Send(q.ID, []store.Message{{Body: body, ContentType: contentType(r.Header.Get("X-Msg-Fmt")), Delay: delay}})
}

func (b *backend) queueBatch(r *http.Request, q store.Queue) error {
	var batch struct {
		Messages []struct {
			Body        []byte // base64 in JSON
			ContentType string
			DelaySecs   *int64
		}
	}
	body, err := readBody(r, maxSendBody)
	if err == nil && json.Unmarshal(body, &batch) != nil {
		err = fault.New(fault.Invalid, "malformed batch")
	}
	if err != nil {
		return err
	}
	if n := len(batch.Messages); n > store.MaxBatchMessages {
		return fault.New(fault.TooLarge, "a batch has at most %d messages, not %d", store.MaxBatchMessages, n)
	}
	common, err := sendDelay(r.Header.Get("X-Msg-Delay-Secs"), q)
	if err != nil {
		return err
	}
	messages, size := make([]store.Message, 0, len(batch.Messages)), 0
	for _, m := range batch.Messages {
		delay := common
		if m.DelaySecs != nil {
			delay = time.Duration(*m.DelaySecs) * time.Second
		}
		size += len(m.Body)
		messages = append(messages, store.Message{Body: m.Body, ContentType: contentType(m.ContentType), Delay: delay})
	}
	if size > store.MaxBatchBytes {
		return fault.New(fault.TooLarge, "a batch has at most %d bytes, not %d", store.MaxBatchBytes, size)
	}
	return b.store.Queues().Send(q.ID, messages)
}

// contentType is v8 for messages of scripts from before JSON was the default.
func contentType(format string) string {
	if format == "" {
		return "v8"
	}
	return format
}

// sendDelay is the producer's delay, or the queue's own.
func sendDelay(header string, q store.Queue) (time.Duration, error) {
	if header == "" {
		return time.Duration(q.DelayS) * time.Second, nil
	}
	s, err := strconv.ParseInt(header, 10, 32)
	if err != nil {
		return 0, fault.New(fault.Invalid, "malformed delay %q", header)
	}
	return time.Duration(s) * time.Second, nil
}

func (b *backend) queueMetrics(w http.ResponseWriter, id string, wrapped bool) {
	count, bytes, oldest, err := b.store.Queues().Backlog(id)
	if err != nil {
		refuseQueue(w, err)
		return
	}
	metrics := map[string]any{"backlogCount": count, "backlogBytes": bytes}
	if !oldest.IsZero() {
		metrics["oldestMessageTimestamp"] = oldest.UnixMilli()
	}
	if wrapped {
		answerJSON(w, map[string]any{"metadata": map[string]any{"metrics": metrics}})
		return
	}
	answerJSON(w, metrics)
}

// refuseQueue answers an error in the headers from which newer scripts' exceptions are made.
func refuseQueue(w http.ResponseWriter, err error) {
	code := "15000"
	switch fault.KindOf(err) {
	case fault.NotFound:
		code = "11000"
	case fault.Invalid:
		code = "10026"
	case fault.TooLarge:
		code = "10027"
	}
	w.Header().Set("CF-Queues-Error-Code", code)
	w.Header().Set("CF-Queues-Error-Cause", err.Error())
	refuse(w, err)
}
