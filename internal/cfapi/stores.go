package cfapi

import (
	"context"
	"net/http"
	"net/url"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/internal/fault"
)

// Namespace is a Workers KV namespace.
type Namespace struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Namespaces lists every KV namespace of the account.
func (c *Client) Namespaces(ctx context.Context) ([]Namespace, error) {
	res, _, err := c.api.ListWorkersKVNamespaces(ctx, c.rcAccount(), cloudflare.ListWorkersKVNamespacesParams{})
	if err != nil {
		return nil, fail("list KV namespaces", err)
	}
	namespaces := make([]Namespace, len(res))
	for i, n := range res {
		namespaces[i] = Namespace{ID: n.ID, Title: n.Title}
	}
	return namespaces, nil
}

// NamespaceByTitle finds a KV namespace by its exact title, which is unique in an account.
func (c *Client) NamespaceByTitle(ctx context.Context, title string) (Namespace, error) {
	found, err := c.Namespaces(ctx)
	if err != nil {
		return Namespace{}, err
	}
	for _, n := range found {
		if n.Title == title {
			return n, nil
		}
	}
	return Namespace{}, fault.New(fault.NotFound, "KV namespace %s does not exist on this account", title)
}

// KVGet reads a value; fault.NotFound when the key is not there.
func (c *Client) KVGet(ctx context.Context, namespace, key string) ([]byte, error) {
	res, err := c.raw(ctx, call{doing: "read KV key " + key, method: http.MethodGet, path: c.kvValue(namespace, key)})
	return res.Body, err
}

// KVPut writes a value that does not expire.
func (c *Client) KVPut(ctx context.Context, namespace, key string, value []byte) error {
	_, err := c.do(ctx, call{
		doing: "write KV key " + key, method: http.MethodPut, path: c.kvValue(namespace, key),
		body: value, contentType: "application/octet-stream",
	}, nil)
	return err
}

func (c *Client) kvValue(namespace, key string) string {
	return "/accounts/" + c.account + "/storage/kv/namespaces/" + namespace + "/values/" + url.PathEscape(key)
}

// Bucket is an R2 bucket.
type Bucket struct {
	Name         string `json:"name"`
	Location     string `json:"location"`
	StorageClass string `json:"storage_class"`
	Jurisdiction string `json:"jurisdiction"`
}

// Buckets lists every R2 bucket of the account.
func (c *Client) Buckets(ctx context.Context) ([]Bucket, error) {
	var buckets []Bucket
	query := url.Values{"per_page": {"1000"}}
	for {
		var page struct {
			Buckets []Bucket `json:"buckets"`
		}
		info, err := c.do(ctx, call{
			doing: "list R2 buckets", method: http.MethodGet, path: "/accounts/" + c.account + "/r2/buckets", query: query,
		}, &page)
		if err != nil {
			return nil, err
		}
		buckets = append(buckets, page.Buckets...)
		if info.Cursor == "" || len(page.Buckets) == 0 || info.Cursor == query.Get("cursor") {
			return buckets, nil
		}
		query.Set("cursor", info.Cursor)
	}
}

// Queue is a message queue.
type Queue struct {
	ID       string        `json:"queue_id"`
	Name     string        `json:"queue_name"`
	Settings QueueSettings `json:"settings"`
}

// QueueSettings say how a queue keeps and hands out its messages.
type QueueSettings struct {
	DeliveryDelayS  int  `json:"delivery_delay"`
	DeliveryPaused  bool `json:"delivery_paused"`
	RetentionPeriod int  `json:"message_retention_period"`
}

// Queues lists every queue of the account.
func (c *Client) Queues(ctx context.Context) ([]Queue, error) {
	return all[Queue](ctx, c, call{doing: "list queues", method: http.MethodGet, path: "/accounts/" + c.account + "/queues"}, "100")
}
