package cors_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/localcloud"
	"github.com/cognomega/edge/stacks/bundle"
)

const root = "../.."

// world is the contract's own Workers, bundled as they are deployed, in an account of the local cloud.
type world struct {
	t         *testing.T
	contract  *contract.Contract
	env       contract.Env
	endpoints localcloud.Endpoints
	token     string
	dial      *http.Transport
	spaces    map[string]string // ids of KV namespaces, by the contract's name
	key       *rsa.PrivateKey
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(checkout, "workers/node_modules/@cloudflare/workerd-*/bin/workerd"))
	if len(found) == 0 {
		t.Fatal("workerd is not installed: make setup")
	}
	env := c.Envs["local"]
	cloud, err := localcloud.Start(t.Context(), localcloud.Config{Dir: t.TempDir(), AccountName: env.AccountName, Zones: []string{env.Zone}, Workerd: found[0]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	w := &world{t: t, contract: c, env: env, endpoints: cloud.Endpoints(), spaces: map[string]string{}}
	if w.token, err = w.endpoints.Token(); err != nil {
		t.Fatal(err)
	}
	if w.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	w.dial = w.transport()
	w.deploy()
	return w
}

// transport dials the edge whatever the name, and trusts its certificates alone.
func (w *world) transport() *http.Transport {
	raw, err := os.ReadFile(w.endpoints.CAFile)
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(raw)
	dial := (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64,
	}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, w.endpoints.EdgeHTTPS)
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// deploy puts every Worker of the contract, those it is bound to first, and gives the hostname to the gateway.
func (w *world) deploy() {
	account := "/accounts/" + w.endpoints.AccountID
	for name, store := range w.contract.Stores {
		var made struct{ ID string }
		switch store.Kind {
		case contract.StoreKV:
			w.api("POST", account+"/storage/kv/namespaces", map[string]string{"title": store.Name}, &made)
		case contract.StoreQueue:
			w.api("POST", account+"/queues", map[string]string{"queue_name": store.Name}, nil)
		case contract.StoreR2:
			w.api("POST", account+"/r2/buckets", map[string]string{"name": store.Name}, nil)
		case contract.StoreHyperdrive:
			// No request of an audit of CORS gets as far as the database, so none listens there.
			origin := map[string]any{"scheme": "postgresql", "host": "127.0.0.1", "port": 1, "database": "d", "user": "u", "password": "p"}
			w.api("POST", account+"/hyperdrive/configs", map[string]any{"name": store.Name, "origin": origin}, &made)
		}
		w.spaces[name] = made.ID
	}
	w.publish()
	for _, name := range w.inOrder() {
		b, err := bundle.Build(w.t.Context(), root, name)
		if err != nil {
			w.t.Fatal(err)
		}
		w.upload(name, b.Code, w.bindings(name))
	}
	zone := "/zones/" + w.endpoints.Zones[0].ID
	w.api("POST", zone+"/dns_records", map[string]any{"type": "AAAA", "name": w.env.Hostname, "content": "100::", "proxied": true, "ttl": 1}, nil)
	w.api("POST", zone+"/workers/routes", map[string]any{"pattern": w.env.Hostname + "/*", "script": w.contract.Gateway()}, nil)
}

// inOrder lists the Workers, each after those that it is bound to.
func (w *world) inOrder() (order []string) {
	for len(order) < len(w.contract.Workers) {
		before := len(order)
		for name, worker := range w.contract.Workers {
			ready := !slices.Contains(order, name)
			for _, b := range worker.Bindings {
				ready = ready && (b.Service == "" || slices.Contains(order, b.Service))
				owner, _ := w.contract.ObjectOwner(b.Object)
				ready = ready && (owner == "" || owner == name || slices.Contains(order, owner))
			}
			if ready {
				order = append(order, name)
			}
		}
		if len(order) == before {
			w.t.Fatalf("the Workers are bound in a circle: after %v none can be deployed", order)
		}
	}
	return order
}

func (w *world) bindings(worker string) (all []map[string]any) {
	for name, b := range w.contract.Workers[worker].Bindings {
		switch b.Kind() {
		case contract.BindKV:
			all = append(all, map[string]any{"type": "kv_namespace", "name": name, "namespace_id": w.spaces[b.KV]})
		case contract.BindQueue:
			all = append(all, map[string]any{"type": "queue", "name": name, "queue_name": w.contract.Stores[b.Queue].Name})
		case contract.BindR2:
			all = append(all, map[string]any{"type": "r2_bucket", "name": name, "bucket_name": w.contract.Stores[b.R2].Name})
		case contract.BindHyperdrive:
			all = append(all, map[string]any{"type": "hyperdrive", "name": name, "id": w.spaces[b.Hyperdrive]})
		case contract.BindObject:
			bound := map[string]any{"type": "durable_object_namespace", "name": name, "class_name": b.Object}
			if owner, _ := w.contract.ObjectOwner(b.Object); owner != worker {
				bound["script_name"] = owner
			}
			all = append(all, bound)
		case contract.BindService:
			all = append(all, map[string]any{"type": "service", "name": name, "service": b.Service})
		case contract.BindVar:
			text, _ := w.env.Setting(b.Var)
			all = append(all, map[string]any{"type": "plain_text", "name": name, "text": text})
		case contract.BindAI:
			all = append(all, map[string]any{"type": "ai", "name": name})
		case contract.BindSecret:
			if !b.Optional {
				all = append(all, map[string]any{"type": "secret_text", "name": name, "text": w.secret(name)})
			}
		default:
			w.t.Fatalf("binding %s is of kind %s, which this test does not know", name, b.Kind())
		}
	}
	return all
}

// publish puts the signing key's public half where the gateway reads it.
func (w *world) publish() {
	w.t.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &w.key.PublicKey, KeyID: "test-KID", Algorithm: "RS256", Use: "sig"}}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.call("PUT", "/accounts/"+w.endpoints.AccountID+"/storage/kv/namespaces/"+w.spaces["keys"]+"/values/jwks", "application/octet-stream", bytes.NewReader(set), nil)
}

func (w *world) secret(name string) string {
	if name != "PRIVATE_KEY_PEM" {
		return "test-" + name
	}
	der, err := x509.MarshalPKCS8PrivateKey(w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (w *world) upload(name string, code []byte, bindings []map[string]any) {
	w.t.Helper()
	settings := map[string]any{
		"main_module": bundle.CodeFile, "compatibility_date": w.contract.Workers[name].CompatibilityDate, "bindings": slices.Concat([]map[string]any{}, bindings),
	}
	if classes := slices.Sorted(maps.Keys(w.contract.Workers[name].Objects)); len(classes) > 0 {
		settings["migrations"] = map[string]any{"new_tag": "v1", "steps": []any{map[string]any{"new_sqlite_classes": classes}}}
	}
	meta, err := json.Marshal(settings)
	if err != nil {
		w.t.Fatal(err)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, part := range []struct {
		name, kind string
		data       []byte
	}{{"metadata", "application/json", meta}, {bundle.CodeFile, "application/javascript+module", code}} {
		p, err := form.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="` + part.name + `"; filename="` + part.name + `"`}, "Content-Type": {part.kind},
		})
		if err == nil {
			_, err = p.Write(part.data)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.call("PUT", "/accounts/"+w.endpoints.AccountID+"/workers/scripts/"+name, form.FormDataContentType(), &body, nil)
}

func (w *world) api(method, path string, body, out any) {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	w.call(method, path, "application/json", bytes.NewReader(raw), out)
}

func (w *world) call(method, path, kind string, body io.Reader, out any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.endpoints.APIHTTP+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Type", kind)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Fatalf("%s %s: %s %s (%v)", method, path, res.Status, raw, err)
	}
	var envelope struct{ Result json.RawMessage }
	if out == nil {
		return
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(envelope.Result, out); err != nil {
		w.t.Fatal(err)
	}
}

func neverFollow(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// target is the platform as cogctl sees it.
func (w *world) target() *audit.Target {
	_, port, err := net.SplitHostPort(w.endpoints.EdgeHTTPS)
	if err != nil {
		w.t.Fatal(err)
	}
	return &audit.Target{
		Env: "local", Hostname: w.env.Hostname, Origins: w.env.Origins, Contract: w.contract, Now: time.Now,
		BaseURL: &url.URL{Scheme: "https", Host: net.JoinHostPort(w.env.Hostname, port)},
		HTTP:    &http.Client{Transport: w.dial, Timeout: 20 * time.Second, CheckRedirect: neverFollow},
	}
}

// behind is the platform behind a proxy that changes answers; ca is the file that curl trusts the proxy by.
func (w *world) behind(t *testing.T, change func(*http.Response)) (target *audit.Target, ca string) {
	t.Helper()
	target = w.target()
	edge := target.BaseURL
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{
		Transport:      w.dial,
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(edge) },
		ModifyResponse: func(res *http.Response) error { change(res); return nil },
	})
	t.Cleanup(proxy.Close)
	base, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	target.BaseURL, target.Hostname, target.HTTP = base, base.Hostname(), proxy.Client()
	target.HTTP.CheckRedirect = neverFollow
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return target, ca
}
