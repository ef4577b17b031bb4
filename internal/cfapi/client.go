// Package cfapi is what Cloudflare's v4 API looks like to this toolkit: typed calls over cloudflare-go, with retries that are safe and errors that name the way out.
package cfapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/internal/fault"
)

// DefaultBaseURL is Cloudflare's own API.
const DefaultBaseURL = "https://api.cloudflare.com/client/v4"

// Config says which API, as whom, and how patiently.
type Config struct {
	BaseURL   string       // DefaultBaseURL when empty
	Token     string       // an API token; sent as a Bearer credential and never put into errors or logs
	AccountID string       // needed by calls under /accounts
	HTTP      *http.Client // its transport carries the calls; a default with time-outs when nil
	UserAgent string
	RetryMax  int                                        // repeats of a GET, PUT or DELETE; 4 when zero, none when negative
	MaxWait   time.Duration                              // the longest single wait between attempts, 30 s when zero; a longer Retry-After ends the call
	Sleep     func(context.Context, time.Duration) error // defaults to a timer
}

// Client is safe for concurrent use.
type Client struct {
	account string
	base    string
	token   string
	http    *http.Client
	api     *cloudflare.API
}

// New makes a client; no request is sent.
func New(c Config) (*Client, error) {
	if c.Token == "" {
		return nil, fault.New(fault.Unauthenticated, "no Cloudflare API token is given").
			WithHint("set CLOUDFLARE_API_TOKEN; for the platform on this machine run `cogctl up`")
	}
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Host == "" || base.Scheme != "https" && (base.Scheme != "http" || !loopback(base.Hostname())) {
		return nil, fault.New(fault.Invalid, "API address %q is not an https URL (plain http is for loopback only)", c.BaseURL)
	}
	hc := &http.Client{Transport: newTransport(c, loopback(base.Hostname()))}
	// The transport does the waiting and the retrying, so cloudflare-go's own (which would repeat a POST) are switched off.
	api, err := cloudflare.NewWithAPIToken(c.Token, cloudflare.BaseURL(c.BaseURL), cloudflare.HTTPClient(hc),
		cloudflare.UsingRateLimit(1e6), cloudflare.UsingRetryPolicy(0, 0, 0), cloudflare.UserAgent(agent(c.UserAgent)))
	if err != nil {
		return nil, fault.New(fault.Internal, "make the API client: %w", err)
	}
	return &Client{account: c.AccountID, base: c.BaseURL, token: c.Token, http: hc, api: api}, nil
}

// CF is the underlying client, for calls this package has no method for; its errors carry a *fault.Error too.
func (c *Client) CF() *cloudflare.API { return c.api }

// AccountID is the account the client was made for.
func (c *Client) AccountID() string { return c.account }

// BaseURL is the API's address, without a slash at the end.
func (c *Client) BaseURL() string { return c.base }

func (c *Client) rcAccount() *cloudflare.ResourceContainer {
	return cloudflare.AccountIdentifier(c.account)
}

// call is one request of the API: what is being done (for the error), and the request itself.
type call struct {
	doing       string // "read routes of zone cognomega.com"
	method      string
	path        string // below the base URL, escaped
	query       url.Values
	body        any // JSON, or []byte sent as it is
	contentType string
	header      http.Header
}

// do sends the call and decodes the envelope's result into out (nil to drop it).
func (c *Client) do(ctx context.Context, r call, out any) (cloudflare.ResultInfo, error) {
	path, header := r.path, r.header.Clone()
	if len(r.query) > 0 {
		path += "?" + r.query.Encode()
	}
	if r.contentType != "" {
		if header == nil {
			header = http.Header{}
		}
		header.Set("Content-Type", r.contentType)
	}
	raw, err := c.api.Raw(ctx, r.method, path, r.body, header)
	if err != nil {
		return cloudflare.ResultInfo{}, fail(r.doing, err)
	}
	if !raw.Success {
		return cloudflare.ResultInfo{}, fail(r.doing, refusedEnvelope(r, raw.Errors))
	}
	if out != nil && len(raw.Result) > 0 {
		if err := json.Unmarshal(raw.Result, out); err != nil {
			return cloudflare.ResultInfo{}, fault.New(fault.Unavailable, "%s: the answer is not of the documented shape: %w", r.doing, err)
		}
	}
	if raw.ResultInfo == nil {
		return cloudflare.ResultInfo{}, nil
	}
	return *raw.ResultInfo, nil
}

// Raw is an answer outside the JSON envelope.
type Raw struct {
	Header http.Header
	Body   []byte
}

// raw sends a call whose answer has no envelope (KV values, script content, GraphQL); an HTTP error is a fault all the same.
func (c *Client) raw(ctx context.Context, r call) (Raw, error) {
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	var body io.Reader
	if b, ok := r.body.([]byte); ok {
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return Raw{}, fault.New(fault.Internal, "%s: %w", r.doing, err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("User-Agent", c.api.UserAgent)
	res, err := c.http.Do(req)
	if err != nil {
		return Raw{}, fail(r.doing, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return Raw{}, fail(r.doing, err)
	}
	return Raw{Header: res.Header, Body: data}, nil
}

// pageLimit ends a list whose server answers every page number with the same page.
const pageLimit = 2000

// all follows page numbers to the end. A page that brings nothing also ends the list, because some families give no totals.
func all[T any](ctx context.Context, c *Client, r call, perPage string) ([]T, error) {
	var items []T
	query := url.Values{}
	for name, values := range r.query {
		query[name] = values
	}
	query.Set("per_page", perPage)
	for page := 1; page <= pageLimit; page++ {
		query.Set("page", itoa(page))
		r.query = query
		var batch []T
		info, err := c.do(ctx, r, &batch)
		if err != nil {
			return nil, err
		}
		items = append(items, batch...)
		if len(batch) == 0 || info.TotalPages > 0 && page >= info.TotalPages || info.Total > 0 && len(items) >= info.Total {
			return items, nil
		}
	}
	return nil, fault.New(fault.Unavailable, "%s: the list does not end after %d pages", r.doing, pageLimit)
}

func agent(name string) string {
	if name == "" {
		return "cogctl"
	}
	return name
}

// loopback is true for names and addresses that never leave the machine (RFC 6761, section 6.3).
func loopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
