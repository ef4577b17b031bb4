package runtime

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/nonblock"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// event is what the dispatcher in each process delivers to a script's handler.
type event struct {
	Type     string         `json:"type"` // queue, scheduled
	Script   string         `json:"script"`
	Queue    string         `json:"queue,omitempty"`
	Messages []eventMessage `json:"messages,omitempty"`
	Cron     string         `json:"cron,omitempty"`
	Time     int64          `json:"time"` // Unix milliseconds
}

type eventMessage struct {
	ID          string          `json:"id"`
	Timestamp   int64           `json:"timestamp"`
	Attempts    int             `json:"attempts"`
	ContentType string          `json:"contentType"`
	Body        []byte          `json:"body,omitempty"`  // base64 in JSON
	Value       json.RawMessage `json:"value,omitempty"` // instead of Body: most bodies are JSON, which the event can hold as it is
}

func newEventMessage(m store.Leased) eventMessage {
	e := eventMessage{ID: m.ID, Timestamp: m.Sent.UnixMilli(), Attempts: m.Attempts, ContentType: m.ContentType}
	if m.ContentType == "json" && json.Valid(m.Body) {
		e.Value = m.Body
	} else {
		e.Body = m.Body
	}
	return e
}

// queueResult is what a queue handler's run came to.
type queueResult struct {
	Outcome    string
	AckAll     bool
	RetryBatch struct {
		Retry        bool
		DelaySeconds *int
	}
	ExplicitAcks  []string
	RetryMessages []struct {
		MsgID        string `json:"msgId"`
		DelaySeconds *int
	}
}

// dispatcherClient speaks HTTP to sockets whose path is the host name, in hex. Connections are not kept: workerd ends idle ones,
// and an event must not be lost to that.
var dispatcherClient = &http.Client{Transport: &http.Transport{
	DisableKeepAlives: true,
	DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		host, _, _ := strings.Cut(addr, ":")
		path, err := hex.DecodeString(host)
		if err != nil {
			return nil, err
		}
		c, err := new(net.Dialer).DialContext(ctx, "unix", string(path))
		if err != nil {
			return nil, err
		}
		return nonblock.Wrap(c), nil
	},
}}

// dispatch delivers an event through the process that serves the script and decodes the handler's result into v.
func (r *Runtime) dispatch(ctx context.Context, lease *Lease, e event, v any) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fault.New(fault.Internal, "encode event: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+hex.EncodeToString([]byte(lease.dispatcher))+"/", bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Internal, "make event: %w", err)
	}
	res, err := dispatcherClient.Do(req)
	if err != nil {
		return fault.New(fault.Unavailable, "deliver %s event to %s: %w", e.Type, e.Script, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || res.StatusCode != http.StatusOK {
		return fault.New(fault.Unavailable, "deliver %s event to %s: status %d %.200s", e.Type, e.Script, res.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, v); err != nil {
		return fault.New(fault.Internal, "read the result of a %s event: %w", e.Type, err)
	}
	return nil
}

// record adds an event to the figures of its script.
func (r *Runtime) record(lease *Lease, script string, began time.Time, outcome string) {
	status := "success"
	if outcome != "ok" {
		status = "scriptThrewException"
	}
	r.cfg.Store.Metrics().Record(store.Invocation{
		Script: script, Version: lease.VersionID, Status: status, At: r.cfg.Now(), Wall: time.Since(began),
	})
}

// softly gives work in hand a while to finish after ctx ends, and then ends it too.
func softly(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
		case <-hard.Done():
		}
		cancel()
	})
	return hard, func() { stop(); cancel() }
}
