package cli_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/cmd/cogctl/cli"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud"
	"github.com/cognomega/edge/internal/rotation"
	"github.com/cognomega/edge/internal/term"
	"github.com/cognomega/edge/stacks/bundle"
)

// hasty is the platform's own auth-svc and gateway in workerd, under a contract whose times are seconds: the arithmetic is the same.
type hasty struct {
	t      *testing.T
	c      *contract.Contract
	e      localcloud.Endpoints
	target *audit.Target
	count  *counter
	space  string
}

// shortened says how the contract's times read in a bundle, and what they are here.
var shortened = map[string]string{
	`"life": 3600`: `"life": 4`, `"clockSkew": 60`: `"clockSkew": 1`, `"jwksMaxAge": 300`: `"jwksMaxAge": 2`, `"gatewayCache": 60`: `"gatewayCache": 1`,
	`"unknownKidRefetch": 10`: `"unknownKidRefetch": 1`,
}

func newHasty(t *testing.T) *hasty {
	t.Helper()
	whole, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := *whole
	c.Auth.Token.LifeS, c.Auth.Token.ClockSkewS = 4, 1
	c.Auth.JWKS.MaxAgeS, c.Auth.JWKS.GatewayCacheS, c.Auth.JWKS.KVVisibilityMinS, c.Auth.JWKS.KVVisibilityMaxS = 2, 1, 1, 1
	c.Auth.Signing.PropagationS, c.Auth.Signing.MarginS = 1, 1
	found, _ := filepath.Glob("../../../workers/node_modules/@cloudflare/workerd-*/bin/workerd")
	if len(found) == 0 {
		t.Fatal("workerd is not installed: make setup")
	}
	workerd, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	env := c.Envs["local"]
	cloud, err := localcloud.Start(t.Context(), localcloud.Config{
		Dir: t.TempDir(), AccountName: env.AccountName, Zones: []string{env.Zone}, Workerd: workerd, KVDelay: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	h := &hasty{t: t, c: &c, e: cloud.Endpoints(), count: &counter{}}
	h.connect(env)
	h.deploy(env)
	for deadline := time.Now().Add(20 * time.Second); ; { // until KV shows the first key set
		if res := h.send(t.Context(), http.MethodGet, "/.well-known/jwks.json", ""); res != nil && res.status == http.StatusOK {
			return h
		}
		if time.Now().After(deadline) {
			t.Fatal("no key set is served")
		}
	}
}

func (h *hasty) connect(env contract.Env) {
	h.t.Helper()
	token, err := h.e.Token()
	if err != nil {
		h.t.Fatal(err)
	}
	api, err := cfapi.New(cfapi.Config{BaseURL: h.e.APIHTTP, Token: token, AccountID: h.e.AccountID, HTTP: &http.Client{Transport: h.count}})
	if err != nil {
		h.t.Fatal(err)
	}
	pem, err := os.ReadFile(h.e.CAFile)
	if err != nil {
		h.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, h.e.EdgeHTTPS)
		},
	}
	h.t.Cleanup(transport.CloseIdleConnections)
	h.target = &audit.Target{
		Env: "local", Hostname: env.Hostname, Issuer: env.Issuer, Origins: env.Origins, BaseURL: &url.URL{Scheme: "https", Host: env.Hostname},
		HTTP: &http.Client{Transport: transport, Timeout: 20 * time.Second}, API: api, AccountID: h.e.AccountID, ZoneName: env.Zone, Contract: h.c, Now: time.Now,
	}
}

func (h *hasty) deploy(env contract.Env) {
	h.t.Helper()
	ctx, api := h.t.Context(), h.target.API
	space, err := api.CreateNamespace(ctx, h.c.Stores["keys"].Name)
	if err != nil {
		h.t.Fatal(err)
	}
	h.space = space.ID
	key, err := rotation.NewKey()
	if err != nil {
		h.t.Fatal(err)
	}
	set, err := rotation.Set(key.JWK())
	if err == nil {
		err = api.KVPut(ctx, space.ID, "jwks", set)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := api.PutScript(ctx, "elsewhere", cfapi.ScriptUpload{
		MainModule: "w.js", CompatibilityDate: "2026-11-01",
		Modules: []cfapi.Module{{Name: "w.js", Type: "application/javascript+module", Content: []byte(`export default { fetch: () => Response.json({}) };`)}},
	}); err != nil {
		h.t.Fatal(err)
	}
	for _, name := range []string{"auth-svc", "cognomega-api"} {
		h.upload(name, env, map[string]string{"KID": key.KID, "PRIVATE_KEY_PEM": key.PEM(), "ADMIN_API_KEY": "right"})
	}
	h.post("/zones/"+h.e.Zones[0].ID+"/dns_records", map[string]any{"type": "AAAA", "name": env.Hostname, "content": "100::", "proxied": true, "ttl": 1})
	h.post("/zones/"+h.e.Zones[0].ID+"/workers/routes", map[string]any{"pattern": env.Hostname + "/*", "script": "cognomega-api"})
}

// upload deploys a Worker as it is, but for its times.
func (h *hasty) upload(name string, env contract.Env, secrets map[string]string) {
	h.t.Helper()
	b, err := bundle.Build(h.t.Context(), "../../..", name)
	if err != nil {
		h.t.Fatal(err)
	}
	code := b.Code
	for long, short := range shortened {
		if bytes.Count(code, []byte(long)) != 1 {
			h.t.Fatalf("the bundle of %s does not say %s once", name, long)
		}
		code = bytes.ReplaceAll(code, []byte(long), []byte(short))
	}
	u := cfapi.ScriptUpload{
		MainModule: bundle.CodeFile, CompatibilityDate: h.c.Workers[name].CompatibilityDate,
		Modules: []cfapi.Module{{Name: bundle.CodeFile, Type: "application/javascript+module", Content: code}},
	}
	for binding, declared := range h.c.Workers[name].Bindings {
		out := cfapi.Binding{Name: binding}
		switch declared.Kind() {
		case contract.BindKV:
			out.Type, out.NamespaceID = "kv_namespace", h.space
		case contract.BindService:
			out.Type, out.Service = "service", "elsewhere" // what is behind the gateway says yes to everybody whom it lets in
			if declared.Service == "auth-svc" {
				out.Service = declared.Service
			}
		case contract.BindVar:
			text, _ := env.Setting(declared.Var)
			out.Type, out.Text = "plain_text", &text
		case contract.BindSecret:
			if declared.Optional {
				continue
			}
			text := secrets[binding]
			out.Type, out.Text = "secret_text", &text
		default:
			continue // neither signing nor verifying needs it
		}
		u.Bindings = append(u.Bindings, out)
	}
	if _, err := h.target.API.PutScript(h.t.Context(), name, u); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hasty) post(path string, body any) {
	h.t.Helper()
	if _, err := h.target.API.CF().Raw(h.t.Context(), http.MethodPost, path, body, nil); err != nil {
		h.t.Fatal(err)
	}
}

// cogctl runs a command of an operator, and gives its exit code and what it wrote.
func (h *hasty) cogctl(fake term.Fake, args ...string) (code int, out, errs *bytes.Buffer) {
	h.t.Helper()
	d := cli.NewDeps("test")
	d.Term, out, errs = term.Test(fake)
	d.WorkDir = h.t.TempDir()
	d.Target = func(context.Context, string) (*audit.Target, error) { return h.target, nil }
	d.Contract = func() (*contract.Contract, error) { return h.c, nil }
	return cli.Run(h.t.Context(), d, append(append([]string{}, args...), "--env", "local")), out, errs
}

// traveller gets a token now and then, and shows all of its tokens at the gateway for as long as they are valid.
func (h *hasty) traveller(ctx context.Context) (refused []string, asked int) {
	type ticket struct {
		text  string
		until time.Time
	}
	var tickets []ticket
	for i := 0; ctx.Err() == nil; i++ {
		if i%3 == 0 {
			if text := h.guest(ctx); text != "" {
				tickets = append(tickets, ticket{text, expiry(text)})
			}
		}
		for _, one := range tickets {
			// A second of grace: the answer must come before the token expires.
			if time.Now().Add(time.Second).After(one.until) {
				continue
			}
			if status := h.show(ctx, one.text); status == http.StatusUnauthorized {
				refused = append(refused, one.text)
			}
			asked++
		}
		tickets = slices.DeleteFunc(tickets, func(one ticket) bool { return time.Now().After(one.until) })
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond): // a traveller's pace, nothing is waited for
		}
	}
	return refused, asked
}

func (h *hasty) guest(ctx context.Context) string {
	var answer struct{ Token string }
	if raw := h.send(ctx, http.MethodPost, "/auth/guest", ""); raw != nil {
		_ = json.Unmarshal(raw.body, &answer)
	}
	return answer.Token
}

func (h *hasty) show(ctx context.Context, token string) int {
	if res := h.send(ctx, http.MethodGet, "/api/ai/binding", token); res != nil {
		return res.status
	}
	return 0
}

type sent struct {
	status int
	body   []byte
}

func (h *hasty) send(ctx context.Context, method, path, token string) *sent {
	req, err := http.NewRequestWithContext(ctx, method, h.target.URL(path), nil)
	if err != nil {
		return nil
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := h.target.HTTP.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	return &sent{res.StatusCode, raw}
}

func expiry(token string) time.Time {
	var claims struct{ Exp int64 }
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		_ = json.Unmarshal(raw, &claims)
	}
	return time.Unix(claims.Exp, 0)
}

// keyDocument is what every command about keys prints as JSON, at least.
type keyDocument struct {
	Schema  string `json:"schema"`
	Env     string `json:"env"`
	Phase   string `json:"phase"`
	Verdict string `json:"verdict"`
	Done    bool   `json:"done"`
	Keys    []struct {
		KID   string `json:"kid"`
		State string `json:"state"`
		Slot  string `json:"slot"`
	} `json:"keys"`
	Timeline []struct {
		At    time.Time `json:"at"`
		Event string    `json:"event"`
		State string    `json:"state"`
	} `json:"timeline"`
	Measured   bool  `json:"measured"`
	MeasuredMS int64 `json:"measured_exposure_ms"`
	WorstMS    int64 `json:"worst_case_exposure_ms"`
	Role       string
}

func (h *hasty) document(args ...string) keyDocument {
	h.t.Helper()
	code, out, errs := h.cogctl(term.Fake{}, append(args, "-o", "json")...)
	var d keyDocument
	dec := json.NewDecoder(out)
	if err := dec.Decode(&d); err != nil || code != fault.ExitOK || dec.More() {
		h.t.Fatalf("%q: exit %d, %v: %s", args, code, err, errs)
	}
	if strings.Contains(errs.String(), "PRIVATE KEY") {
		h.t.Errorf("%q prints a private key", args)
	}
	return d
}

func (d keyDocument) signer() string {
	for _, k := range d.Keys {
		if k.State == "signs" {
			return k.KID
		}
	}
	return ""
}

// TestKeysRotateOnTheRealPlatform rotates, resumes, verifies and revokes against the real auth-svc and gateway, with a traveller who
// notices nothing until a key is revoked.
func TestKeysRotateOnTheRealPlatform(t *testing.T) {
	t.Parallel()
	h := newHasty(t)
	writes := h.count.writes.Load()
	before := h.document("jwks", "status")
	for _, args := range [][]string{
		{"jwks", "rotate", "--plan"}, {"jwks", "rotate", "--dry-run", "--explain"}, {"jwks", "status", "--explain"}, {"jwks", "list"}, {"jwks", "verify"},
		{"jwks", "revoke", before.signer(), "--dry-run"},
		{"jwks", "revoke", "--all", "--dry-run"}, {"jwks", "rotate", "--plan", "--sign-after", "1h"},
	} {
		if code, out, errs := h.cogctl(term.Fake{TTY: true, NoColor: true, Width: 120}, args...); code != fault.ExitOK || out.Len() == 0 {
			t.Errorf("%q: exit %d: %s%s", args, code, out, errs)
		}
		h.document(args...)
	}
	if after := h.count.writes.Load(); after != writes {
		t.Errorf("%d writes by commands that only look", after-writes)
	}

	ctx, stop := context.WithCancel(t.Context())
	var refused []string
	var asked int
	travelled := make(chan struct{})
	go func() {
		defer close(travelled)
		refused, asked = h.traveller(ctx)
	}()
	first := h.document("jwks", "rotate", "--no-wait")
	if first.Done || first.Phase != "published" || first.Schema != "cogctl/jwks.rotate/v1" || len(first.Timeline) != 4 {
		t.Errorf("at the first wait: %+v", first)
	}
	if code, out, _ := h.cogctl(term.Fake{}, "jwks", "rotate", "--no-wait"); code != fault.ExitOK || !strings.Contains(out.String(), "began no other") {
		t.Errorf("a second rotate: exit %d: %s", code, out)
	}
	last := h.document("jwks", "resume")
	if !last.Done || last.Phase != "stable" || last.signer() == before.signer() || last.Keys[0].Slot != "b" {
		t.Errorf("at the end: %+v", last)
	}
	stop()
	<-travelled
	if len(refused) > 0 || asked < 50 {
		t.Errorf("%d of %d valid tokens were refused", len(refused), asked)
	}
	t.Logf("%d tokens were shown, %d refused", asked, len(refused))
	if v := h.document("jwks", "verify"); v.Verdict != "pass" || v.Schema != "cogctl/jwks.verify/v1" {
		t.Errorf("%+v", v)
	}
	h.revoked(last.signer())
}

// revoked takes the signing key away, and sees the gateway refuse what it signed.
func (h *hasty) revoked(kid string) {
	h.t.Helper()
	token := h.guest(h.t.Context())
	if code, _, errs := h.cogctl(term.Fake{}, "jwks", "revoke", kid); code != fault.ExitUsage || !strings.Contains(errs.String(), "--yes") {
		h.t.Errorf("without an answer: exit %d: %s", code, errs)
	}
	for _, args := range [][]string{{"jwks", "revoke"}, {"jwks", "revoke", kid, "--all"}} {
		if code, _, errs := h.cogctl(term.Fake{}, args...); code != fault.ExitUsage {
			h.t.Errorf("%q: exit %d: %s", args, code, errs)
		}
	}
	if code, _, errs := h.cogctl(term.Fake{}, "jwks", "rotate", "--sign-after", "2s"); code != fault.ExitRefused || !strings.Contains(errs.String(), "KV visibility 1s + JWKS max-age 2s + gateway cache 1s + margin 1s = 5s") {
		h.t.Errorf("an unsafe wait: exit %d: %s", code, errs)
	}
	if code, _, errs := h.cogctl(term.Fake{}, "jwks", "revoke", "no-such-key", "--yes"); code != fault.ExitAPI || !strings.Contains(errs.String(), "cogctl jwks list") {
		h.t.Errorf("an unknown key: exit %d: %s", code, errs)
	}
	d := h.document("jwks", "revoke", kid, "--yes")
	if !d.Measured || d.MeasuredMS > d.WorstMS || d.signer() == kid || d.Schema != "cogctl/jwks.revoke/v1" || d.Role != "signs" {
		h.t.Errorf("%+v", d)
	}
	if time.Now().Before(expiry(token)) && h.show(h.t.Context(), token) != http.StatusUnauthorized {
		h.t.Error("the gateway lets in what the revoked key signed")
	}
	var calls atomic.Int64
	for deadline := time.Now().Add(20 * time.Second); ; calls.Add(1) { // until every copy of the old set is gone
		code, out, errs := h.cogctl(term.Fake{}, "jwks", "verify")
		if code == fault.ExitOK && h.show(h.t.Context(), h.guest(h.t.Context())) == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("exit %d: %s%s", code, out, errs)
		}
	}
}
