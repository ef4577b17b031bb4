package standin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// settings are the parts of the official plugin's configuration that matter here.
type settings struct{ token, host, basePath, caFile string }

// orElse fills what the configuration leaves out from the environment, as the official plugin does.
func (s settings) orElse(getenv func(string) string) settings {
	for _, v := range []struct {
		field              *string
		variable, fallback string
	}{
		{&s.token, "CLOUDFLARE_API_TOKEN", ""},
		{&s.host, "CLOUDFLARE_API_HOSTNAME", "api.cloudflare.com"},
		{&s.basePath, "CLOUDFLARE_API_BASE_PATH", "/client/v4"},
	} {
		if *v.field == "" {
			*v.field = getenv(v.variable)
		}
		if *v.field == "" {
			*v.field = v.fallback
		}
	}
	return s
}

// client speaks to one loopback API over TLS, as the official plugin does; it cannot be made to dial anything else.
type client struct {
	base, token string
	http        *http.Client
}

func newClient(s settings) (*client, error) {
	if !loopback(s.host) {
		return nil, fault.New(fault.Refused, "the stand-in Cloudflare plugin talks to a loopback API only, not to %q", s.host).
			WithHint("for a real account install the official plugin: pulumi plugin install resource cloudflare 5.49.1")
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{40}$`).MatchString(s.token) {
		return nil, fault.New(fault.Unauthenticated, "API tokens must be 40 characters and only contain characters a-z, A-Z, 0-9, hyphens and underscores").
			WithHint("set CLOUDFLARE_API_TOKEN")
	}
	roots, err := rootCAs(s.caFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: onlyLoopback}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 16}
	return &client{base: "https://" + s.host + s.basePath, token: s.token, http: &http.Client{Transport: transport, Timeout: time.Minute}}, nil
}

// loopback says whether host (with or without a port) names this machine by itself.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); ip != nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// onlyLoopback is the second lock: whatever a name resolves to, only a loopback address is dialled.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fault.New(fault.Refused, "the stand-in Cloudflare plugin does not dial %s: not a loopback address", address)
	}
	return nil
}

// rootCAs reads SSL_CERT_FILE itself: not every platform's verifier does.
func rootCAs(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read SSL_CERT_FILE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "read SSL_CERT_FILE: no certificate in %s", file)
	}
	return roots, nil
}

type envelope struct {
	Success bool `json:"success"`
	Errors  []struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"errors"`
	Result     json.RawMessage `json:"result"`
	ResultInfo struct {
		Page       int `json:"page"`
		TotalPages int `json:"total_pages"`
	} `json:"result_info"`
}

func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	env, err := c.call(ctx, method, path, in)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(env.Result, out); err != nil {
		return fault.New(fault.Unavailable, "read the answer to %s %s: %w", method, path, err)
	}
	return nil
}

func (c *client) call(ctx context.Context, method, path string, in any) (envelope, error) {
	var env envelope
	body, err := encode(in)
	if err != nil {
		return env, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return env, fault.New(fault.Invalid, "%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return env, fault.New(fault.Unavailable, "%w", err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 32<<20))
	if err != nil {
		return env, fault.New(fault.Unavailable, "%s %s: %w", method, path, err)
	}
	if err := json.Unmarshal(raw, &env); err != nil && res.StatusCode < 300 {
		return env, fault.New(fault.Unavailable, "read the answer to %s %s: %w", method, path, err)
	}
	return env, refusal(env, res.StatusCode, method+" "+path)
}

func encode(in any) (io.Reader, error) {
	if in == nil {
		return nil, nil
	}
	raw, err := json.Marshal(in)
	return bytes.NewReader(raw), err
}

// refusal turns an unsuccessful answer into an error with the API's own code and words.
func refusal(env envelope, status int, doing string) error {
	if env.Success && status < 300 {
		return nil
	}
	kind := fault.Unavailable
	switch {
	case status == http.StatusNotFound:
		kind = fault.NotFound
	case status == http.StatusConflict:
		kind = fault.Conflict
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		kind = fault.Denied
	case status < 500:
		kind = fault.Invalid
	}
	words := fmt.Sprintf("HTTP status %d", status)
	if len(env.Errors) > 0 {
		words = fmt.Sprintf("%s (%d)", env.Errors[0].Message, env.Errors[0].Code)
	}
	return fault.New(kind, "%s: %s", doing, words)
}

// find pages through a collection as the official plugin does, 50 at a time.
func (c *client) find(ctx context.Context, path, idField, id string) (map[string]any, error) {
	for page := 1; ; page++ {
		env, err := c.call(ctx, http.MethodGet, fmt.Sprintf("%s?page=%d&per_page=50", path, page), nil)
		if err != nil {
			return nil, err
		}
		var items []map[string]any
		if err := json.Unmarshal(env.Result, &items); err != nil {
			return nil, fault.New(fault.Unavailable, "read the list %s: %w", path, err)
		}
		for _, item := range items {
			if item[idField] == id {
				return item, nil
			}
		}
		if len(items) < 50 || page >= env.ResultInfo.TotalPages {
			return nil, fault.New(fault.NotFound, "find %s in %s", id, path)
		}
	}
}
