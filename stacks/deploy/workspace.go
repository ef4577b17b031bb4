package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
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
		if err := os.MkdirAll(w.dir, 0o700); err != nil { // also the backend's folder, which the engine wants to be there
			return nil, fault.New(fault.Unavailable, "create the state folder: %w", err)
		}
		if w.release, err = r.exclusive(ctx, w.dir); err != nil {
			return nil, err
		}
		if err := dropTornSideFiles(filepath.Join(dir, ".pulumi")); err != nil {
			w.close()
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

// dropTornSideFiles removes side files of the state that are empty or cut short. They hold nothing that the engine needs,
// but it refuses the state beside a broken one.
func dropTornSideFiles(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && (d.IsDir() || filepath.Ext(path) != ".attrs") {
			return nil
		}
		if err != nil {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || json.Valid(raw) {
			return err
		}
		return os.Remove(path)
	})
	if err != nil {
		return fault.New(fault.Unavailable, "look through the state's folder: %w", err)
	}
	return nil
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
