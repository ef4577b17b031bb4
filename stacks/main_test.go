package main_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/stacks/deploy"
)

// checkout is a folder like the repository, with the programs built into it, and an account to deploy to.
type checkout struct {
	t    *testing.T
	root string
	env  []string
}

func newCheckout(t *testing.T) *checkout {
	t.Helper()
	repo, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	c := &checkout{t: t, root: t.TempDir()}
	for _, p := range [][2]string{
		{"stacks", "./stacks"},
		{"plugins/pulumi-resource-cognomega", "./cmd/pulumi-resource-cognomega"},
		{"standin/pulumi-resource-cloudflare", "./cmd/pulumi-resource-cloudflare"},
		{"langhost/pulumi-language-go", "./cmd/pulumi-language-go"},
	} {
		build := exec.Command("go", "build", "-o", filepath.Join(c.root, "bin", p[0]), p[1])
		build.Dir = repo
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", p[1], err, out)
		}
	}
	if err := os.Mkdir(filepath.Join(c.root, "stacks"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stacks/Pulumi.yaml", "stacks/Pulumi.local.yaml", "stacks/Pulumi.production.yaml"} {
		raw, err := os.ReadFile(filepath.Join(repo, name))
		if err != nil {
			t.Fatal(err)
		}
		c.write(name, string(raw))
	}
	if err := os.Symlink(filepath.Join(repo, "workers"), filepath.Join(c.root, "workers")); err != nil {
		t.Fatal(err)
	}
	c.connect(pulumiBinary(t, repo))
	return c
}

func (c *checkout) write(name, content string) string {
	c.t.Helper()
	path := filepath.Join(c.root, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// connect serves an account over http and TLS and says in the environment how to reach it.
func (c *checkout) connect(pulumi string) {
	c.t.Helper()
	bed := apitest.New(c.t)
	handler := api.New(api.Config{Store: bed.Store, Runtime: bed.Runtime, AccountID: apitest.AccountID, AccountName: "cognomega-local"})
	secure := httptest.NewTLSServer(handler)
	c.t.Cleanup(secure.Close)
	address, err := url.Parse(secure.URL)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(c.root, "state"), 0o700); err != nil {
		c.t.Fatal(err)
	}
	c.env = append(os.Environ(),
		"CLOUDFLARE_API_TOKEN="+apitest.Token, "CLOUDFLARE_ACCOUNT_ID="+apitest.AccountID, "CLOUDFLARE_BASE_URL="+bed.URL,
		"CLOUDFLARE_API_HOSTNAME="+address.Host, "CLOUDFLARE_API_BASE_PATH=/client/v4",
		"SSL_CERT_FILE="+c.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))),
		"COGNOMEGA_SECRETS_FILE="+c.write("secrets.json", `{"PRIVATE_KEY_PEM":"a-private-key-of-the-test","KID":"k1","ADMIN_API_KEY":"an-admin-key-of-the-test","DATABASE_URL":"postgres://u:a-password-of-the-test@db.example.test/ledger"}`),
		"PULUMI_CONFIG_PASSPHRASE=a passphrase", "PULUMI_BACKEND_URL=file://"+filepath.Join(c.root, "state"), "PULUMI_HOME="+filepath.Join(c.root, "home"),
		"PULUMI_SKIP_UPDATE_CHECK=true", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true", "PULUMI_BIN="+pulumi,
		"PATH="+strings.Join([]string{filepath.Dir(pulumi), filepath.Join(c.root, "bin/langhost"), filepath.Join(c.root, "bin/standin"), os.Getenv("PATH")}, ":"),
	)
}

func pulumiBinary(t *testing.T, repo string) string {
	t.Helper()
	cached := filepath.Join(repo, ".cache", "pulumi", "v"+deploy.PulumiVersion, "bin", "pulumi")
	for _, bin := range []string{os.Getenv("PULUMI_BIN"), cached} {
		if _, err := os.Stat(bin); err == nil {
			return bin
		}
	}
	bin, err := exec.LookPath("pulumi")
	if err != nil {
		t.Fatal("no Pulumi CLI: run `make setup`, or set PULUMI_BIN")
	}
	return bin
}

// run runs a program in the stacks folder.
func (c *checkout) run(program string, args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = filepath.Join(c.root, "stacks"), c.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (c *checkout) pulumi(args ...string) string {
	c.t.Helper()
	out, code := c.tryPulumi(args...)
	if code != 0 {
		c.t.Fatalf("pulumi %v: exit %d\n%s", args, code, out)
	}
	return out
}

func (c *checkout) tryPulumi(args ...string) (out string, code int) {
	c.t.Helper()
	for _, kv := range c.env {
		if bin, ok := strings.CutPrefix(kv, "PULUMI_BIN="); ok {
			out, errs, code := c.run(bin, append(args, "--non-interactive", "--stack", "local")...)
			return out + "\n" + errs, code
		}
	}
	panic("no PULUMI_BIN")
}

func (c *checkout) stacks(args ...string) (lines []deploy.Line, code int) {
	c.t.Helper()
	out, errs, code := c.run(filepath.Join(c.root, "bin", "stacks"), args...)
	for _, raw := range strings.Split(strings.TrimSpace(out), "\n") {
		var l deploy.Line
		if err := json.Unmarshal([]byte(raw), &l); err != nil {
			c.t.Fatalf("stacks %v wrote a line that is not of the protocol: %q\n%s", args, raw, errs)
		}
		lines = append(lines, l)
	}
	return lines, code
}

// The ordinary CLI and the driver run one program: what one has deployed, the other has nothing to change about.
func TestTheOrdinaryCLIAndTheDriverAgree(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	lines, code := c.stacks("up", "--stack", "local")
	if code != fault.ExitOK {
		t.Fatalf("stacks up: exit %d\n%+v", code, lines)
	}
	if got := lines[len(lines)-1].Changes["create"]; got < 12 {
		t.Errorf("stacks up created %d resources", got)
	}
	c.pulumi("preview", "--expect-no-changes")
	c.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
	if out := c.pulumi("stack", "export"); strings.Contains(out, "private-key-of-the-test") || strings.Contains(out, "admin-key-of-the-test") || strings.Contains(out, apitest.Token) {
		t.Error("the state holds a secret in clear")
	}
	// What Durable Objects keep is not destroyed on the way: the ordinary CLI has nobody who could have agreed to that.
	if out, code := c.tryPulumi("destroy", "--yes", "--skip-preview"); code == 0 || !strings.Contains(out, "as it has Durable Objects") {
		t.Errorf("pulumi destroy: exit %d\n%s", code, out)
	}
	c.pulumi("up", "--yes", "--skip-preview")
	lines, code = c.stacks("up", "--stack", "local")
	if code != fault.ExitOK || lines[len(lines)-1].Changes["same"] == 0 || len(lines[len(lines)-1].Changes) != 1 {
		t.Errorf("stacks up after pulumi up: exit %d\n%+v", code, lines[len(lines)-1])
	}
	left, err := filepath.Glob(filepath.Join(c.root, "stacks", "*"))
	if err != nil || len(left) != 3 {
		t.Errorf("the stacks folder holds %v (%v)", left, err)
	}
}

func TestBadUseIsExplained(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	for name, test := range map[string]struct {
		args []string
		env  []string
		code int
		want string
	}{
		"no verb":          {nil, nil, fault.ExitUsage, "no verb"},
		"unknown verb":     {[]string{"apply", "--stack", "local"}, nil, fault.ExitUsage, "unknown verb"},
		"no stack":         {[]string{"up"}, nil, fault.ExitUsage, "no stack"},
		"unknown stack":    {[]string{"up", "--stack", "moon"}, nil, fault.ExitUsage, `no environment "moon"`},
		"unknown flag":     {[]string{"up", "--stack", "local", "--force"}, nil, fault.ExitUsage, "-force"},
		"secret missing":   {[]string{"up", "--stack", "local"}, []string{"COGNOMEGA_SECRETS_FILE="}, fault.ExitUsage, "PRIVATE_KEY_PEM"},
		"secrets garbled":  {[]string{"up", "--stack", "local"}, []string{"COGNOMEGA_SECRETS_FILE=" + c.write("garbled.json", `{"A": "top-secret-value`)}, fault.ExitUsage, "not a JSON object"},
		"production":       {[]string{"up", "--stack", "production"}, nil, fault.ExitRefused, "production is deployed by"},
		"API not there":    {[]string{"up", "--stack", "local"}, []string{"CLOUDFLARE_API_HOSTNAME=127.0.0.1:1"}, fault.ExitAPI, "refused"},
		"API not loopback": {[]string{"up", "--stack", "local"}, []string{"CLOUDFLARE_API_HOSTNAME=api.cloudflare.com"}, fault.ExitAPI, "loopback"},
		"no token":         {[]string{"up", "--stack", "local"}, []string{"CLOUDFLARE_API_TOKEN="}, fault.ExitAPI, "token"},
		"no engine":        {[]string{"up", "--stack", "local"}, []string{"PULUMI_BIN=/nowhere/bin/pulumi"}, fault.ExitAPI, "no Pulumi CLI"},
	} {
		t.Run(name, func(t *testing.T) {
			own := *c
			own.t = t
			own.env = append(append([]string{}, c.env...), test.env...)
			own.env = append(own.env, "PULUMI_BACKEND_URL=file://"+t.TempDir())
			lines, code := own.stacks(test.args...)
			last := lines[len(lines)-1]
			if code != test.code || last.Type != "error" || !strings.Contains(last.Message, test.want) {
				t.Errorf("exit %d, %+v; want exit %d and an error with %q", code, last, test.code, test.want)
			}
			for _, l := range lines {
				if raw, _ := json.Marshal(l); bytes.Contains(raw, []byte("top-secret-value")) {
					t.Errorf("a secret is in the report: %s", raw)
				}
			}
		})
	}
}
