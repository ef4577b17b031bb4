package platform_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud"
	"github.com/cognomega/edge/internal/oidc/oidctest"
	"github.com/cognomega/edge/internal/platform"
)

// release is a clone of the project and two accounts: one that plays staging, one that plays production.
type releases struct {
	t       *testing.T
	repo    string
	root    string // the clone
	issuer  *oidctest.Issuer
	proxy   *httptest.Server // stands for DNS: it takes a name to where it is served
	front   *httptest.Server // serves the public names: the local cloud's own authority may not sign for them
	roots   []byte
	staging *accountPlayed
	prod    *accountPlayed
}

// accountPlayed is a local cloud under the name of an environment, and the proofs that its runs make.
type accountPlayed struct {
	env       string
	endpoints localcloud.Endpoints
	token     string
	api       *httptest.Server // in front of the account's API, counting what would change it
	writes    atomic.Int64
	after     atomic.Pointer[func(method string)] // called after each call, before its answer is whole
	dir       string
	proofs    string
	key       string // PEM of its runs' evidence key
}

func newReleases(t *testing.T) *releases {
	t.Helper()
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	r := &releases{t: t, repo: repo, root: t.TempDir(), issuer: oidctest.New(t, map[string]any{
		"sub": "repo:cognomega/edge:environment:production", "repository": "cognomega/edge", "ref": "refs/heads/main", "environment": "production",
		"job_workflow_ref": "cognomega/edge/.github/workflows/deploy.yml@refs/heads/main", "event_name": "workflow_dispatch",
		"run_id": "4711", "run_attempt": "1", "actor": "somebody",
	})}
	r.clone()
	r.staging, r.prod = r.play("staging"), r.play("production")
	r.serveNames()
	r.proxy = httptest.NewServer(http.HandlerFunc(r.connect))
	t.Cleanup(r.proxy.Close)
	return r
}

// clone makes a checkout of its own, so that a commit can be made in it: tools and packages are those of the repository.
func (r *releases) clone() {
	r.t.Helper()
	for _, name := range []string{"go.mod", "stacks/Pulumi.yaml", "stacks/Pulumi.local.yaml", "stacks/Pulumi.staging.yaml", "stacks/Pulumi.production.yaml"} {
		r.copy(name)
	}
	for _, pattern := range []string{"contract/*.json", "workers/*.json", "workers/*/src/*.ts", "workers/*/src/*/*.ts"} {
		found, err := filepath.Glob(filepath.Join(r.repo, pattern))
		if err != nil || len(found) == 0 {
			r.t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range found {
			name, err := filepath.Rel(r.repo, path)
			if err != nil {
				r.t.Fatal(err)
			}
			r.copy(name)
		}
	}
	for _, name := range []string{"bin", "workers/node_modules", ".cache/pulumi"} {
		path := filepath.Join(r.root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(filepath.Join(r.repo, name), path)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.write(".gitignore", "/bin\n/.cache/\nnode_modules\n")
	r.git("init", "--quiet", "--initial-branch=main")
	r.commit()
}

func (r *releases) copy(name string) {
	r.t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.repo, name))
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(name, string(raw))
}

func (r *releases) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *releases) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.root, "-c", "user.name=test", "-c", "user.email=test@example.test"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits all there is; the runs of the workflow are of that commit from then on.
func (r *releases) commit() {
	r.t.Helper()
	r.git("add", "--all")
	r.git("commit", "--quiet", "--message", "a change")
	r.issuer.Say("sha", r.git("rev-parse", "HEAD"))
}

// change is a commit that makes other bundles.
func (r *releases) change(words string) {
	r.t.Helper()
	path := filepath.Join(r.root, "workers/orchestrator-svc/src/worker.ts")
	raw, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("workers/orchestrator-svc/src/worker.ts", "// "+words+"\n"+string(raw))
	r.commit()
}

func (r *releases) play(env string) *accountPlayed {
	r.t.Helper()
	workerd, err := platform.Layout{Root: r.repo}.Workerd()
	if err != nil {
		r.t.Fatal(err)
	}
	a := &accountPlayed{env: env, dir: r.t.TempDir()}
	a.proofs = filepath.Join(a.dir, "proofs")
	cloud, err := localcloud.Start(r.t.Context(), localcloud.Config{Dir: filepath.Join(a.dir, "cloud"), AccountName: "cognomega-" + env, Zones: []string{"cognomega.com"}, Workerd: workerd})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cloud.Close() })
	a.endpoints = cloud.Endpoints()
	if a.token, err = a.endpoints.Token(); err != nil {
		r.t.Fatal(err)
	}
	target, err := url.Parse(a.endpoints.APIHTTP)
	if err != nil {
		r.t.Fatal(err)
	}
	target.Path = ""
	forward := httputil.NewSingleHostReverseProxy(target)
	a.api = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet {
			a.writes.Add(1)
		}
		forward.ServeHTTP(w, q)
		if after := a.after.Load(); after != nil {
			(*after)(q.Method)
		}
	}))
	r.t.Cleanup(a.api.Close)
	a.key = newEvidenceKey(r.t)
	a.secrets(r.t)
	return a
}

// newEvidenceKey is a private key as a run of the workflow is given it.
func newEvidenceKey(t *testing.T) string {
	t.Helper()
	v := evidence.Vault{Dir: t.TempDir()}
	if _, _, err := v.Ensure(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(v.SigningKey())
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func (a *accountPlayed) secrets(t *testing.T) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]string{
		"PRIVATE_KEY_PEM": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "KID": "k1", "ADMIN_API_KEY": "an-admin-key-of-the-test-0123456789", "DATABASE_URL": "postgres://u:a-password-of-the-test@db.example.test/ledger",
	})
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(a.dir, "secrets.json"), raw, 0o600), os.MkdirAll(filepath.Join(a.dir, "state"), 0o700))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// trusted is the public half of the account's evidence key, in a file.
func (a *accountPlayed) trusted(t *testing.T) string {
	t.Helper()
	s, err := evidence.ParseSigner([]byte(a.key))
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.PEM()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(a.dir, "public.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The names of the environments in the contract.
const (
	stagingHost    = "api.staging.cognomega.com"
	productionHost = "api.cognomega.com"
)

// serveNames answers for both public names with a certificate of the test, and asks the edge of the account that has the name.
func (r *releases) serveNames() {
	r.t.Helper()
	certificate, roots := oidctest.Certificate(r.t, stagingHost, productionHost)
	edges := map[string]string{stagingHost: r.staging.endpoints.EdgeHTTPS, productionHost: r.prod.endpoints.EdgeHTTPS}
	r.front = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		forward := &httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) { p.Out.URL.Scheme, p.Out.URL.Host = "https", q.Host },
			Transport: &http.Transport{
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: q.Host}, // the edge's own authority may not sign for this name
				Dial:            func(network, _ string) (net.Conn, error) { return net.Dial(network, edges[q.Host]) },
			},
		}
		defer forward.Transport.(*http.Transport).CloseIdleConnections()
		forward.ServeHTTP(w, q)
	}))
	r.front.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	r.front.StartTLS()
	r.t.Cleanup(r.front.Close)
	r.roots = append(roots, r.issuer.CertPEM...)
}

// connect is an HTTP proxy: CONNECT to a name ends where this test serves it.
func (r *releases) connect(w http.ResponseWriter, q *http.Request) {
	host, _, _ := net.SplitHostPort(q.Host)
	front := r.front.Listener.Addr().String()
	to := map[string]string{stagingHost: front, productionHost: front, oidctest.Host: r.issuer.Address}[host]
	if q.Method != http.MethodConnect || to == "" {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	far, err := net.Dial("tcp", to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer far.Close()
	w.WriteHeader(http.StatusOK)
	near, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(far, buffered); _ = far.(*net.TCPConn).CloseWrite() })
	both.Go(func() { _, _ = io.Copy(near, far); _ = near.Close() })
	both.Wait()
}

// environ is that of a workflow's job for the account's environment.
func (r *releases) environ(a *accountPlayed) []string {
	r.t.Helper()
	address, err := url.Parse(a.api.URL)
	if err != nil {
		r.t.Fatal(err)
	}
	roots := filepath.Join(a.dir, "roots.pem")
	all := bytes.Clone(r.roots)
	for _, other := range []*accountPlayed{r.staging, r.prod} {
		raw, err := os.ReadFile(other.endpoints.CAFile)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(append(all, raw...), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.api.Certificate().Raw})...)
	}
	if err := os.WriteFile(roots, all, 0o600); err != nil {
		r.t.Fatal(err)
	}
	return append(os.Environ(),
		"CLOUDFLARE_API_TOKEN="+a.token, "CLOUDFLARE_ACCOUNT_ID="+a.endpoints.AccountID, "CLOUDFLARE_BASE_URL="+a.api.URL+"/client/v4",
		"CLOUDFLARE_API_HOSTNAME="+address.Host, "CLOUDFLARE_API_BASE_PATH=/client/v4", "SSL_CERT_FILE="+roots, "HTTPS_PROXY="+r.proxy.URL, "https_proxy=",
		"PULUMI_CONFIG_PASSPHRASE=a passphrase", "PULUMI_BACKEND_URL=file://"+filepath.Join(a.dir, "state"), "PULUMI_HOME="+filepath.Join(a.dir, "home"),
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true", "PATH="+filepath.Join(r.repo, "bin", "standin")+":"+os.Getenv("PATH"), // the stand-in plays the official plugin
		"COGNOMEGA_SECRETS_FILE="+filepath.Join(a.dir, "secrets.json"), "COGCTL_EVIDENCE_KEY="+a.key, "COGCTL_PROOFS_DIR="+a.proofs, "COGCTL_LOCAL_DIR="+filepath.Join(a.dir, "local"),
	)
}

// github is what a run of the workflow finds beside it.
func (r *releases) github() []string {
	return []string{
		"GITHUB_ACTIONS=true", "GITHUB_REPOSITORY=cognomega/edge", "GITHUB_REF=refs/heads/main",
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + r.issuer.RequestURL(), "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + oidctest.RequestToken,
	}
}

// cogctl runs the built program in the clone.
func (r *releases) cogctl(environ []string, args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	cmd := exec.CommandContext(context.Background(), filepath.Join(r.repo, "bin", "cogctl"), append(args, "--output", "json")...)
	cmd.Dir, cmd.Env = r.root, environ
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// serving is the bundle that an account serves of a Worker.
func (a *accountPlayed) serving(t *testing.T, worker string) string {
	t.Helper()
	api, err := cfapi.New(cfapi.Config{BaseURL: a.endpoints.APIHTTP, Token: a.token, AccountID: a.endpoints.AccountID})
	if err != nil {
		t.Fatal(err)
	}
	deployments, err := api.Deployments(t.Context(), worker)
	if err != nil || len(deployments) == 0 {
		t.Fatalf("%s: %v", worker, err)
	}
	v, err := api.Version(t.Context(), worker, deployments[0].Versions[0].VersionID)
	if err != nil {
		t.Fatal(err)
	}
	return v.Annotations["workers/tag"]
}
