package localcloud_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud"
)

const zoneName = "example.localhost"

// workerd is the pinned binary; a checkout without it fails here rather than skipping.
func workerd(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		found, _ := filepath.Glob(filepath.Join(dir, "workers/node_modules/@cloudflare/workerd-*/bin/workerd"))
		if len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("workerd is not installed: make setup")
	return ""
}

func config(t testing.TB, dir string) localcloud.Config {
	return localcloud.Config{Dir: dir, AccountName: "test-account", Zones: []string{zoneName}, Workerd: workerd(t)}
}

// start runs a cloud on dir for the length of the test.
func start(t *testing.T, dir string) *localcloud.Cloud {
	t.Helper()
	c, err := localcloud.Start(context.Background(), config(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// client calls an account's API, and its hostnames through the edge.
type client struct {
	t     *testing.T
	e     localcloud.Endpoints
	token string
	edge  *http.Client
}

func connect(t *testing.T, e localcloud.Endpoints) client {
	t.Helper()
	token, err := e.Token()
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(e.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, e.EdgeHTTPS)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return client{t: t, e: e, token: token, edge: &http.Client{Transport: transport, Timeout: 20 * time.Second}}
}

// api sends a call and decodes the envelope's result; it fails the test unless the status is the wanted one.
func (c client) api(want int, method, path, contentType string, body []byte, out any) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.e.APIHTTP+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		c.t.Fatalf("%s %s: %s %s (%v)", method, path, res.Status, raw, err)
	}
	if out == nil {
		return
	}
	var envelope struct{ Result json.RawMessage }
	if err := json.Unmarshal(raw, &envelope); err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal(envelope.Result, out); err != nil {
		c.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
	}
}

func (c client) json(want int, method, path string, body, out any) {
	c.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	c.api(want, method, path, "application/json", raw, out)
}

// upload puts a module script with bindings.
func (c client) upload(want int, name, code string, bindings ...map[string]any) {
	c.t.Helper()
	c.put(want, map[string]any{}, name, code, bindings)
}

// uploadWith puts a script with more metadata than its bindings.
func (c client) uploadWith(metadata map[string]any, name, code string, bindings ...map[string]any) {
	c.t.Helper()
	c.put(200, metadata, name, code, bindings)
}

func (c client) put(want int, metadata map[string]any, name, code string, bindings []map[string]any) {
	c.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part := func(name, contentType string, data []byte) {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", `form-data; name="`+name+`"; filename="`+name+`"`)
		h.Set("Content-Type", contentType)
		p, err := w.CreatePart(h)
		if err == nil {
			_, err = p.Write(data)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	metadata["main_module"], metadata["compatibility_date"], metadata["bindings"] = "worker.js", "2026-11-01", bindings
	meta, err := json.Marshal(metadata)
	if err != nil {
		c.t.Fatal(err)
	}
	part("metadata", "application/json", meta)
	part("worker.js", "application/javascript+module", []byte(code))
	if err := w.Close(); err != nil {
		c.t.Fatal(err)
	}
	c.api(want, "PUT", "/accounts/"+c.e.AccountID+"/workers/scripts/"+name, w.FormDataContentType(), body.Bytes(), nil)
}

// own gives a hostname of the zone to a script.
func (c client) own(host, script string) {
	c.t.Helper()
	zone := "/zones/" + c.e.Zones[0].ID
	c.json(200, "POST", zone+"/dns_records", map[string]any{"type": "AAAA", "name": host, "content": "100::", "proxied": true, "ttl": 1}, nil)
	c.json(200, "POST", zone+"/workers/routes", map[string]any{"pattern": host + "/*", "script": script}, nil)
}

// get fetches a URL through the edge.
func (c client) get(url string) (status int, body string) {
	c.t.Helper()
	res, err := c.edge.Get(url)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(raw))
}

const hello = `export default { async fetch(request, env) { return new Response((env.WORD ?? "hello") + " " + new URL(request.url).pathname); } };`
