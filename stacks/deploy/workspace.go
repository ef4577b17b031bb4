package deploy

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"github.com/cognomega/edge/internal/fault"
)

// workspaceDir is where one run works: a stack of a backend, and the folder the CLI runs in.
type workspaceDir struct {
	stack   auto.Stack
	project workspace.Project
	dir     string
	salt    string
	command auto.PulumiCommand
	release func()
}

func (w *workspaceDir) close() {
	if w.release != nil {
		w.release()
	}
}

// openWorkspace selects the stack, creating it when it is new, once nobody else is deploying to it.
func (r *run) openWorkspace(ctx context.Context) (*workspaceDir, error) {
	project, err := r.project()
	if err != nil {
		return nil, err
	}
	command, err := FindPulumi(r.Root, r.Getenv)
	if err != nil {
		return nil, err
	}
	w := &workspaceDir{project: project, command: command}
	backend := project.Backend.URL
	if dir, ok := fileBackend(backend); ok {
		w.dir = filepath.Join(dir, "work", r.Stack)
		if err := os.MkdirAll(w.dir, 0o700); err != nil {
			return nil, fault.New(fault.Unavailable, "create the state folder: %w", err)
		}
		if w.release, err = r.exclusive(ctx, w.dir); err != nil {
			return nil, err
		}
		if err := r.clearLocks(ctx, filepath.Join(dir, ".pulumi", "locks", "organization", string(project.Name), r.Stack)); err != nil {
			w.close()
			return nil, err
		}
	} else {
		tmp, err := os.MkdirTemp("", "stacks-")
		if err != nil {
			return nil, fault.New(fault.Unavailable, "create a work folder: %w", err)
		}
		w.dir, w.release = tmp, func() { _ = os.RemoveAll(tmp) }
	}
	w.salt = savedSalt(filepath.Join(w.dir, "Pulumi."+r.Stack+".yaml"))
	r.out.step("login", "open stack "+r.Stack+" in "+redact(backend))
	if w.stack, err = r.open(ctx, w, backend, w.dir); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// open makes the Automation API's workspace in dir, over the given backend.
func (r *run) open(ctx context.Context, w *workspaceDir, backend, dir string) (auto.Stack, error) {
	project := w.project
	project.Backend = &workspace.ProjectBackend{URL: backend}
	settings, err := r.stackSettings(&project, w.salt)
	if err != nil {
		return auto.Stack{}, err
	}
	stack, err := auto.UpsertStackInlineSource(ctx, r.Stack, string(project.Name), r.program.main,
		auto.Pulumi(w.command), auto.Project(project), auto.WorkDir(dir), auto.PulumiHome(r.pulumiHome()),
		auto.EnvVars(r.engineEnv(backend)), auto.SecretsProvider("passphrase"),
		auto.Stacks(map[string]workspace.ProjectStack{r.Stack: settings}))
	if err != nil {
		return auto.Stack{}, engineFault("open stack "+r.Stack, err)
	}
	return stack, nil
}

// project is Pulumi.yaml as this run needs it: the backend settled, and our plugins found where they were built.
func (r *run) project() (workspace.Project, error) {
	p, err := workspace.LoadProjectBytes(r.Project, "Pulumi.yaml", encoding.YAML)
	if err != nil {
		return workspace.Project{}, fault.New(fault.Invalid, "read Pulumi.yaml: %w", err)
	}
	out := workspace.Project{
		Name: p.Name, Runtime: workspace.NewProjectRuntimeInfo("go", nil),
		Backend: &workspace.ProjectBackend{URL: r.backendURL(p)}, Plugins: &workspace.Plugins{},
	}
	bin := r.Getenv("COGNOMEGA_BIN")
	if bin == "" {
		bin = filepath.Join(r.Root, "bin")
	}
	out.Plugins.Providers = append(out.Plugins.Providers, workspace.PluginOptions{Name: "cognomega", Path: filepath.Join(bin, "plugins")})
	if r.Stack == LocalStack && !r.officialInstalled() {
		out.Plugins.Providers = append(out.Plugins.Providers, workspace.PluginOptions{Name: "cloudflare", Path: filepath.Join(bin, "standin")})
	}
	return out, nil
}

// LocalStack is the one stack whose account is on this machine; only it may use the stand-in plugin.
const LocalStack = "local"

// officialInstalled says whether the official Cloudflare plugin is in Pulumi's plugin cache.
func (r *run) officialInstalled() bool {
	found, err := filepath.Glob(filepath.Join(r.pulumiHome(), "plugins", "resource-cloudflare-v5.*", "pulumi-resource-cloudflare"))
	return err == nil && len(found) > 0
}

func (r *run) pulumiHome() string {
	if home := r.Getenv("PULUMI_HOME"); home != "" {
		return home
	}
	return filepath.Join(r.Root, ".local", "pulumi", "home")
}

var backendLine = regexp.MustCompile(`(?m)^\s+cognomega:backend:\s*(\S+)`)

func (r *run) backendURL(p *workspace.Project) string {
	if u := r.Getenv("PULUMI_BACKEND_URL"); u != "" {
		return u
	}
	if m := backendLine.FindSubmatch(r.StackFile); m != nil {
		return os.Expand(strings.Trim(string(m[1]), `"'`), r.Getenv)
	}
	if p.Backend != nil && p.Backend.URL != "" {
		return p.Backend.URL
	}
	return "file://" + filepath.Join(r.Root, ".local", "pulumi")
}

// stackSettings is Pulumi.<stack>.yaml with the salt kept that the state was encrypted under.
func (r *run) stackSettings(p *workspace.Project, salt string) (workspace.ProjectStack, error) {
	settings, err := workspace.LoadProjectStackBytes(nil, p, r.StackFile, "Pulumi."+r.Stack+".yaml", encoding.YAML)
	if err != nil {
		return workspace.ProjectStack{}, fault.New(fault.Invalid, "read Pulumi.%s.yaml: %w", r.Stack, err)
	}
	out := workspace.ProjectStack{Config: settings.Config, SecretsProvider: settings.SecretsProvider, EncryptedKey: settings.EncryptedKey, EncryptionSalt: settings.EncryptionSalt}
	if out.EncryptionSalt == "" {
		out.EncryptionSalt = salt
	}
	return out, nil
}

var saltLine = regexp.MustCompile(`(?m)^encryptionsalt:\s*(v1:\S+)\s*$`)

func savedSalt(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if m := saltLine.FindSubmatch(raw); m != nil {
		return string(m[1])
	}
	return ""
}

// engineEnv is what the CLI and the plugins get beside this process's own environment.
func (r *run) engineEnv(backend string) map[string]string {
	env := map[string]string{
		"PULUMI_SKIP_UPDATE_CHECK": "true",
		"PULUMI_EXPERIMENTAL":      "true", // plan files
		"PULUMI_BACKEND_URL":       backend,
	}
	for _, name := range []string{
		"CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_BASE_URL", "CLOUDFLARE_API_HOSTNAME", "CLOUDFLARE_API_BASE_PATH",
		"SSL_CERT_FILE", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE",
	} {
		if v := r.Getenv(name); v != "" {
			env[name] = v
		}
	}
	if r.Stack == LocalStack {
		env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
	}
	return env
}

// fileBackend is the folder of a backend on this machine.
func fileBackend(backend string) (string, bool) {
	path, ok := strings.CutPrefix(backend, "file://")
	if !ok {
		return "", false
	}
	path, _, _ = strings.Cut(path, "?")
	abs, err := filepath.Abs(path)
	return abs, err == nil
}

// redact takes credentials out of a backend's address.
func redact(backend string) string {
	u, err := url.Parse(backend)
	if err != nil {
		return "its backend"
	}
	u.RawQuery = ""
	return u.Redacted()
}

// scratch is a stack of the same name with the given state, in a backend that is thrown away: what a preview may look at without writing.
func (r *run) scratch(ctx context.Context, s *state) (*workspaceDir, error) {
	tmp, err := os.MkdirTemp("", "stacks-preview-")
	if err != nil {
		return nil, fault.New(fault.Unavailable, "create a scratch folder: %w", err)
	}
	w := *r.space
	w.dir, w.release = filepath.Join(tmp, "work"), func() { _ = os.RemoveAll(tmp) }
	err = os.MkdirAll(w.dir, 0o700)
	if err == nil {
		w.salt = savedSalt(filepath.Join(r.space.dir, "Pulumi."+r.Stack+".yaml"))
		w.stack, err = r.open(ctx, &w, "file://"+tmp, w.dir)
	}
	if err == nil {
		err = w.importState(ctx, s)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return &w, nil
}

// cli runs the Pulumi CLI itself, for what the Automation API would do by decrypting the state.
func (w *workspaceDir) cli(ctx context.Context, stdin string, args ...string) (string, error) {
	env := maps.Clone(w.stack.Workspace().GetEnvVars())
	env["PULUMI_HOME"] = w.stack.Workspace().PulumiHome()
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	var in *strings.Reader
	if stdin != "" {
		in = strings.NewReader(stdin)
	}
	stdout, stderr, _, err := w.runCLI(ctx, in, list, args)
	if err != nil {
		return "", engineFault("pulumi "+strings.Join(args[:min(2, len(args))], " "), errors.New(strings.TrimSpace(stderr)))
	}
	return stdout, nil
}

func (w *workspaceDir) runCLI(ctx context.Context, in *strings.Reader, env, args []string) (string, string, int, error) {
	args = append(args, "--stack", w.stack.Name())
	if in == nil {
		return w.command.Run(ctx, w.dir, nil, nil, nil, env, args...)
	}
	return w.command.Run(ctx, w.dir, in, nil, nil, env, args...)
}

// projectName is the name Pulumi knows the project by.
func (w *workspaceDir) projectName() tokens.PackageName { return w.project.Name }
