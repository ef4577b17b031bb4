package cfapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// NamespacesAt lists every KV namespace, and says what time it was at the API when the list began, to the second.
func (c *Client) NamespacesAt(ctx context.Context) ([]Namespace, time.Time, error) {
	const doing = "list KV namespaces"
	var (
		found []Namespace
		at    time.Time
	)
	for page := 1; page <= pageLimit; page++ {
		answer, err := c.raw(ctx, call{
			doing: doing, method: http.MethodGet, path: c.namespacePath(""), query: url.Values{"per_page": {"100"}, "page": {itoa(page)}},
		})
		if err != nil {
			return nil, at, err
		}
		if page == 1 {
			if at, err = http.ParseTime(answer.Header.Get("Date")); err != nil {
				return nil, at, fault.New(fault.Unavailable, "%s: the answer does not say when it was made: %w", doing, err)
			}
		}
		var envelope struct {
			Result []Namespace `json:"result"`
			Info   struct {
				TotalPages int `json:"total_pages"`
			} `json:"result_info"`
		}
		if err := json.Unmarshal(answer.Body, &envelope); err != nil {
			return nil, at, fault.New(fault.Unavailable, "%s: the answer is not of the documented shape: %w", doing, err)
		}
		found = append(found, envelope.Result...)
		if len(envelope.Result) == 0 || envelope.Info.TotalPages > 0 && page >= envelope.Info.TotalPages {
			return found, at.UTC(), nil
		}
	}
	return nil, at, fault.New(fault.Unavailable, "%s: the list does not end after %d pages", doing, pageLimit)
}

// CreateNamespace makes a KV namespace. A title is unique in an account: fault.Conflict when another has it, whoever asked first.
func (c *Client) CreateNamespace(ctx context.Context, title string) (Namespace, error) {
	var made Namespace
	_, err := c.do(ctx, call{
		doing: "create KV namespace " + title, method: http.MethodPost, path: c.namespacePath(""), body: map[string]string{"title": title},
	}, &made)
	return made, err
}

// DeleteNamespace removes a KV namespace with all its keys; fault.NotFound when there is none of that id.
func (c *Client) DeleteNamespace(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{doing: "delete KV namespace " + id, method: http.MethodDelete, path: c.namespacePath("/" + url.PathEscape(id))}, nil)
	return err
}

func (c *Client) namespacePath(rest string) string {
	return "/accounts/" + url.PathEscape(c.account) + "/storage/kv/namespaces" + rest
}
