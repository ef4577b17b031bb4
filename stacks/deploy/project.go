package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/encoding"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"github.com/cognomega/edge/internal/fault"
)

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

// backendURL is where the state is kept: as the environment says, else the stack's file, else in the project's folder.
func (r *run) backendURL(p *workspace.Project) string {
	address := "file://" + filepath.Join(r.Root, ".local", "pulumi", "state")
	if p.Backend != nil && p.Backend.URL != "" {
		address = p.Backend.URL
	}
	if m := backendLine.FindSubmatch(r.StackFile); m != nil {
		address = os.Expand(strings.Trim(string(m[1]), `"'`), r.Getenv)
	}
	if u := r.Getenv("PULUMI_BACKEND_URL"); u != "" {
		address = u
	}
	if strings.HasPrefix(address, "file://") && !strings.Contains(address, "?") {
		// The engine's side files are not written in one step: one cut short by kill -9 would make the state beside it unreadable.
		address += "?metadata=skip"
	}
	return address
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
