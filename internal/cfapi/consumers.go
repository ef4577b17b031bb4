package cfapi

import (
	"context"
	"net/http"
	"net/url"
)

// Consumer takes the messages of a queue.
type Consumer struct {
	ID              string           `json:"consumer_id,omitempty"`
	Type            string           `json:"type"` // worker, http_pull
	ScriptName      string           `json:"script_name,omitempty"`
	DeadLetterQueue string           `json:"dead_letter_queue,omitempty"`
	Settings        ConsumerSettings `json:"settings"`
}

// ConsumerSettings tune a consumer; nil leaves Cloudflare's default, or on reading means that there is none.
type ConsumerSettings struct {
	BatchSize           *int `json:"batch_size,omitempty"`
	MaxRetries          *int `json:"max_retries,omitempty"`
	MaxWaitMS           *int `json:"max_wait_time_ms,omitempty"`
	MaxConcurrency      *int `json:"max_concurrency,omitempty"`
	RetryDelaySeconds   *int `json:"retry_delay,omitempty"`
	VisibilityTimeoutMS *int `json:"visibility_timeout_ms,omitempty"`
}

// consumerAnswer also has the names under which older answers give the script.
type consumerAnswer struct {
	Consumer
	Script  string `json:"script"`
	Service string `json:"service"`
}

func (a consumerAnswer) consumer() Consumer {
	out := a.Consumer
	for _, name := range []string{a.Script, a.Service} {
		if out.ScriptName == "" {
			out.ScriptName = name
		}
	}
	return out
}

// Consumers lists the consumers of a queue; fault.NotFound when there is no such queue.
func (c *Client) Consumers(ctx context.Context, queueID string) ([]Consumer, error) {
	var answers []consumerAnswer
	_, err := c.do(ctx, call{doing: "list consumers of queue " + queueID, method: http.MethodGet, path: c.consumerPath(queueID, "")}, &answers)
	out := make([]Consumer, 0, len(answers))
	for _, a := range answers {
		out = append(out, a.consumer())
	}
	return out, err
}

// CreateConsumer attaches a consumer; code 11004 when the queue has one already.
func (c *Client) CreateConsumer(ctx context.Context, queueID string, consumer Consumer) (Consumer, error) {
	var out consumerAnswer
	_, err := c.do(ctx, call{
		doing: "attach a consumer to queue " + queueID, method: http.MethodPost, path: c.consumerPath(queueID, ""), body: consumer,
	}, &out)
	return out.consumer(), err
}

// UpdateConsumer replaces a consumer's settings.
func (c *Client) UpdateConsumer(ctx context.Context, queueID string, consumer Consumer) (Consumer, error) {
	id := consumer.ID
	consumer.ID = ""
	var out consumerAnswer
	_, err := c.do(ctx, call{
		doing: "update consumer " + id + " of queue " + queueID, method: http.MethodPut, path: c.consumerPath(queueID, id), body: consumer,
	}, &out)
	return out.consumer(), err
}

// DeleteConsumer detaches a consumer; fault.NotFound when it is gone already.
func (c *Client) DeleteConsumer(ctx context.Context, queueID, id string) error {
	_, err := c.do(ctx, call{
		doing: "detach consumer " + id + " from queue " + queueID, method: http.MethodDelete, path: c.consumerPath(queueID, id),
	}, nil)
	return err
}

func (c *Client) consumerPath(queueID, id string) string {
	path := "/accounts/" + url.PathEscape(c.account) + "/queues/" + url.PathEscape(queueID) + "/consumers"
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	return path
}
