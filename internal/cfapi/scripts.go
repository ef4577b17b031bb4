package cfapi

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/internal/fault"
)

// Script is a Worker as the list of scripts shows it.
type Script struct {
	Name     string    `json:"name"`
	ETag     string    `json:"etag"`
	Modified time.Time `json:"modified_on"`
}

// Scripts lists every Worker of the account.
func (c *Client) Scripts(ctx context.Context) ([]Script, error) {
	res, _, err := c.api.ListWorkers(ctx, c.rcAccount(), cloudflare.ListWorkersParams{})
	if err != nil {
		return nil, fail("list Workers", err)
	}
	scripts := make([]Script, len(res.WorkerList))
	for i, w := range res.WorkerList {
		scripts[i] = Script{Name: w.ID, ETag: w.ETAG, Modified: w.ModifiedOn}
	}
	return scripts, nil
}

// Switches are the two ways to reach a Worker past every route: its workers.dev name and its preview URLs.
type Switches struct {
	WorkersDev bool `json:"enabled"`
	Previews   bool `json:"previews_enabled"`
}

// ScriptSwitches reads both switches of a Worker.
func (c *Client) ScriptSwitches(ctx context.Context, script string) (Switches, error) {
	var s Switches
	_, err := c.do(ctx, call{
		doing: "read the workers.dev switches of Worker " + script, method: http.MethodGet,
		path: "/accounts/" + c.account + "/workers/scripts/" + url.PathEscape(script) + "/subdomain",
	}, &s)
	return s, err
}

// Subdomain is the account's name under workers.dev, empty when none is registered.
func (c *Client) Subdomain(ctx context.Context) (string, error) {
	var s struct {
		Subdomain string `json:"subdomain"`
	}
	_, err := c.do(ctx, call{
		doing: "read the account's workers.dev name", method: http.MethodGet,
		path: "/accounts/" + c.account + "/workers/subdomain",
	}, &s)
	if fault.KindOf(err) == fault.NotFound {
		return "", nil
	}
	return s.Subdomain, err
}
