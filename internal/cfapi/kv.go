package cfapi

import (
	"context"
	"net/http"
	"net/url"
)

// maxBulkGet is how many keys one read takes.
const maxBulkGet = 100

// KVKeys lists every key that begins with prefix, page by page; fn may end it with an error.
func (c *Client) KVKeys(ctx context.Context, namespace, prefix string, fn func(keys []string) error) error {
	query := url.Values{"prefix": {prefix}, "limit": {"1000"}}
	for {
		var page []struct {
			Name string `json:"name"`
		}
		info, err := c.do(ctx, call{doing: "list KV keys " + prefix + "*", method: http.MethodGet, path: c.kvNamespace(namespace) + "/keys", query: query}, &page)
		if err != nil {
			return err
		}
		names := make([]string, 0, len(page))
		for _, k := range page {
			names = append(names, k.Name)
		}
		if err := fn(names); err != nil {
			return err
		}
		if info.Cursor == "" || info.Cursor == query.Get("cursor") {
			return nil
		}
		query.Set("cursor", info.Cursor)
	}
}

// KVGetMany reads values of any number of keys, a hundred in a request; those that are not there are left out.
func (c *Client) KVGetMany(ctx context.Context, namespace string, keys []string) (map[string]string, error) {
	values := map[string]string{}
	for from := 0; from < len(keys); from += maxBulkGet {
		var answer struct {
			Values map[string]*string `json:"values"`
		}
		_, err := c.do(ctx, call{
			doing: "read KV values", method: http.MethodPost, path: c.kvNamespace(namespace) + "/bulk/get",
			body: map[string]any{"keys": keys[from:min(from+maxBulkGet, len(keys))], "type": "text"},
		}, &answer)
		if err != nil {
			return nil, err
		}
		for name, value := range answer.Values {
			if value != nil {
				values[name] = *value
			}
		}
	}
	return values, nil
}

func (c *Client) kvNamespace(namespace string) string {
	return "/accounts/" + c.account + "/storage/kv/namespaces/" + namespace
}
