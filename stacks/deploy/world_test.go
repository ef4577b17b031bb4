package deploy_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/cognomega/edge/stacks/deploy"
	"github.com/cognomega/edge/stacks/platform"
)

const (
	account  = apitest.AccountID
	token    = apitest.Token
	zoneID   = apitest.ZoneID
	hostname = "api." + apitest.ZoneName
)

const project = "name: test\nruntime: go\n"

const stackFile = "config:\n  cloudflare:rps: \"1000\"\n"

// world is an account, served over http and TLS, and a stack that is deployed to it by the real engine.
type world struct {
	t      *testing.T
	store  *store.Store
	writes *counter
	api    *cfapi.Client
	dir    string
	env    map[string]string
	spec   platform.Spec

	database string // instead of the usual connection string
	protect  bool
}

// counter counts requests that would change the account, and can be told to do something between a change and its answer.
type counter struct {
	mu   sync.Mutex
	next http.Handler
	n    int
	hook func(n int)
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		c.next.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	c.next.ServeHTTP(answer, r)
	c.mu.Lock()
	c.n++
	n, hook := c.n, c.hook
	c.mu.Unlock()
	if hook != nil {
		hook(n)
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *counter) onWrite(hook func(n int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hook = hook
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	bed := apitest.New(t)
	w := &world{t: t, store: bed.Store, dir: dir, spec: everything()}
	w.writes = &counter{next: api.New(api.Config{Store: bed.Store, Runtime: bed.Runtime, AccountID: account, AccountName: "test"})}
	plain, secure := httptest.NewServer(w.writes), httptest.NewTLSServer(w.writes)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	ca := filepath.Join(dir, "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	address, err := url.Parse(secure.URL)
	if err != nil {
		t.Fatal(err)
	}
	w.env = map[string]string{
		"CLOUDFLARE_API_TOKEN": token, "CLOUDFLARE_ACCOUNT_ID": account, "CLOUDFLARE_BASE_URL": plain.URL + "/client/v4",
		"CLOUDFLARE_API_HOSTNAME": address.Host, "CLOUDFLARE_API_BASE_PATH": "/client/v4", "SSL_CERT_FILE": ca,
		"PULUMI_CONFIG_PASSPHRASE": "a passphrase", "PULUMI_BACKEND_URL": "file://" + filepath.Join(dir, "state"), "PULUMI_HOME": filepath.Join(dir, "home"),
		"COGNOMEGA_BIN": plugins(t), "PULUMI_BIN": pulumiBinary(t),
	}
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.api, err = cfapi.New(cfapi.Config{BaseURL: plain.URL + "/client/v4", Token: token, AccountID: account})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) config(verb deploy.Verb, out io.Writer) deploy.Config {
	return deploy.Config{
		Verb: verb, Stack: "local", Hostname: hostname, Project: []byte(project), StackFile: []byte(stackFile), Root: w.dir,
		Getenv: func(name string) string { return w.env[name] }, Out: out,
		Program: func(context.Context) (pulumi.RunFunc, error) { return w.program(), nil },
		API:     func() (*cfapi.Client, error) { return w.api, nil },
	}
}

func (w *world) program() pulumi.RunFunc {
	in := inputs(w.spec)
	in.Protect = w.protect
	if w.database != "" {
		in.Secrets["DATABASE_URL"] = w.database
	}
	return platform.Program(in)
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func encode(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// filesHolding lists the files under dir that contain text; it fails when there is no file at all.
func filesHolding(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		if strings.Contains(read(t, path), text) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Fatalf("%s holds %d files (%v)", dir, n, err)
	}
	return found
}

// repository is the checkout these tests are part of.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// pulumiBinary finds the engine: PULUMI_BIN, the project's cache, PATH.
func pulumiBinary(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("PULUMI_BIN"); bin != "" {
		return bin
	}
	cached := filepath.Join(repository(t), ".cache", "pulumi", "v"+deploy.PulumiVersion, "bin", "pulumi")
	if _, err := os.Stat(cached); err == nil {
		return cached
	}
	bin, err := exec.LookPath("pulumi")
	if err != nil {
		t.Fatalf("no Pulumi CLI: run `make setup`, or set PULUMI_BIN")
	}
	return bin
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// plugins builds the plugins once for all tests.
func plugins(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		built.dir = filepath.Join(scratch, "bin")
		for _, p := range []struct{ out, pkg string }{
			{"plugins/pulumi-resource-cognomega", "./cmd/pulumi-resource-cognomega"},
			{"standin/pulumi-resource-cloudflare", "./cmd/pulumi-resource-cloudflare"},
			{"langhost/pulumi-language-go", "./cmd/pulumi-language-go"},
		} {
			cmd := exec.Command("go", "build", "-o", filepath.Join(built.dir, p.out), p.pkg)
			cmd.Dir = repository(t)
			if out, err := cmd.CombinedOutput(); err != nil {
				built.err = err
				t.Logf("%s", out)
				return
			}
		}
	})
	if built.err != nil {
		t.Fatalf("build the plugins: %v", built.err)
	}
	return built.dir
}

// scratch outlives single tests and goes with the process.
var scratch string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if child := os.Getenv(childVariable); child != "" {
			return runChild(child)
		}
		if scratch, err = os.MkdirTemp("", "deploy-test-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(scratch)
		return m.Run()
	}())
}
