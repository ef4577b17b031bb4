package provider_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/cognomega/edge/stacks/provider/sdk"
)

const secretValue = "correct-horse-battery-staple"

// program is what the test deploys; its fields are what a later version of it changes.
type program struct {
	base, issuer, bucket, worker string
}

func (g *program) run(ctx *pulumi.Context) error {
	cf, err := sdk.NewProvider(ctx, "local", &sdk.ProviderArgs{
		AccountID: pulumi.String(account), APIToken: pulumi.String(token), BaseURL: pulumi.String(g.base),
	})
	if err != nil {
		return err
	}
	use := pulumi.Provider(cf)
	modules := map[string]sdk.Module{"worker.js": {Path: pulumi.String(g.worker)}}
	auth, err := sdk.NewWorkerScript(ctx, "auth-svc", &sdk.WorkerScriptArgs{
		Name: pulumi.String("auth-svc"), MainModule: pulumi.String("worker.js"), Modules: modules, CompatibilityDate: pulumi.String("2026-11-01"),
		Secrets: map[string]pulumi.StringInput{"PRIVATE_KEY_PEM": pulumi.String(secretValue)},
	}, use)
	if err != nil {
		return err
	}
	api, err := sdk.NewWorkerScript(ctx, "cognomega-api", &sdk.WorkerScriptArgs{
		Name: pulumi.String("cognomega-api"), MainModule: pulumi.String("worker.js"), Modules: modules, CompatibilityDate: pulumi.String("2026-11-01"),
		Bindings: []sdk.Binding{
			{Name: "AUTH", Type: "service", Service: auth.Name},
			{Name: "ISSUER", Type: "plain_text", Text: pulumi.String(g.issuer)},
			{Name: "LIMITS", Type: "durable_object_namespace", ClassName: pulumi.String("Limiter")},
		},
		DurableObjects: []sdk.DurableObject{{Class: "Limiter", SQLite: true}},
		Observability:  &sdk.Observability{Enabled: true},
	}, use)
	if err != nil {
		return err
	}
	if _, err := sdk.NewQueueConsumer(ctx, "events", &sdk.QueueConsumerArgs{
		QueueID: pulumi.String("q1"), ScriptName: api.Name, BatchSize: pulumi.Int(50), DeadLetterQueue: pulumi.String("events-dlq"),
	}, use); err != nil {
		return err
	}
	_, err = sdk.NewR2BucketLifecycle(ctx, "uploads", &sdk.R2BucketLifecycleArgs{
		BucketName: pulumi.String(g.bucket),
		Rules: []sdk.LifecycleRule{
			{ID: "tmp", Prefix: "tmp/", ExpireDays: 3},
			{ID: "logs", Prefix: "logs/", InfrequentDays: 60, ExpireDays: 120},
			{ID: "multipart", AbortMultipartDays: 2},
		},
	}, use)
	ctx.Export("version", api.VersionID)
	return err
}

func TestWithTheRealEngine(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.change(func(c *cloud) { c.buckets["uploads"], c.buckets["uploads-2"] = defaultRules(), defaultRules() })
	g := &program{base: c.base, issuer: "https://api.test", bucket: "uploads", worker: writeFile(t, "worker.js", code)}
	d := newDeployment(t, g)

	d.up(map[string]int{"create": 6}, nil)
	d.up(map[string]int{"same": 6}, nil)
	d.forget() // as after kill -9 before the engine saved anything
	d.up(map[string]int{"create": 6}, nil)
	if s := c.scripts["cognomega-api"]; s.tag != "v1" || len(c.queues["q1"]) != 1 {
		t.Fatalf("not taken over: tag %s, consumers %v", s.tag, c.queues["q1"])
	}
	if found := occurrences(t, d.state, secretValue, token); len(found) > 0 {
		t.Fatalf("the state has secrets in clear: %v", found)
	}

	c.change(func(c *cloud) { // behind its back
		api := c.scripts["cognomega-api"]
		api.bindings[1]["text"], api.previews = "https://evil.test", true
		c.queues["q1"][0]["settings"].(object)["batch_size"] = 1
		c.buckets["uploads"] = c.buckets["uploads"][1:]
		delete(c.scripts, "auth-svc")
	})
	drift := []string{
		"R2BucketLifecycle uploads: rules[0]", "QueueConsumer events: batchSize", "WorkerScript auth-svc: deleted",
		"WorkerScript cognomega-api: bindings[1].text", "WorkerScript cognomega-api: previews",
	}
	d.refresh(drift)
	d.up(map[string]int{"create": 1, "update": 3, "same": 2}, nil)
	d.refresh(nil)
	d.up(map[string]int{"same": 6}, nil)
	if c.scripts["auth-svc"] == nil || c.scripts["cognomega-api"].previews || len(c.buckets["uploads"]) != 3 {
		t.Fatal("not repaired")
	}

	g.issuer, g.bucket = "https://other.test", "uploads-2"
	d.up(map[string]int{"update": 1, "replace": 1, "same": 4}, []string{
		"R2BucketLifecycle uploads: bucketName", "WorkerScript cognomega-api: bindings[1].text",
	})
	d.destroy()
	if len(c.scripts)+len(c.queues["q1"]) > 0 || len(c.buckets["uploads-2"]) != 1 {
		t.Errorf("left over: %d scripts, %d consumers, rules %v", len(c.scripts), len(c.queues["q1"]), c.buckets["uploads-2"])
	}
}

// deployment is a stack of the program in a folder of its own.
type deployment struct {
	t     *testing.T
	stack auto.Stack
	state string
}

func newDeployment(t *testing.T, g *program) *deployment {
	t.Helper()
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	for _, sub := range []string{state, filepath.Join(dir, "home"), filepath.Join(dir, "work"), filepath.Join(dir, "cli", "bin")} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(pulumiCLI(t), filepath.Join(dir, "cli", "bin", "pulumi")); err != nil {
		t.Fatal(err)
	}
	cli, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: filepath.Join(dir, "cli")})
	if err != nil {
		t.Fatal(err)
	}
	stack, err := auto.UpsertStackInlineSource(t.Context(), "test", "cognomega-test", g.run,
		auto.Project(workspace.Project{
			Name: tokens.PackageName("cognomega-test"), Runtime: workspace.NewProjectRuntimeInfo("go", nil),
			Backend: &workspace.ProjectBackend{URL: "file://" + state},
			Plugins: &workspace.Plugins{Providers: []workspace.PluginOptions{{Name: sdk.Name, Version: sdk.Version, Path: buildPlugin(t)}}},
		}),
		auto.WorkDir(filepath.Join(dir, "work")), auto.PulumiHome(filepath.Join(dir, "home")), auto.Pulumi(cli),
		auto.SecretsProvider("passphrase"), auto.EnvVars(map[string]string{
			"PULUMI_CONFIG_PASSPHRASE": "test", "PULUMI_SKIP_UPDATE_CHECK": "true",
			"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
		}))
	if err != nil {
		t.Fatal(err)
	}
	return &deployment{t: t, stack: stack, state: state}
}

// buildPlugin builds the plugin's own binary, so that the test covers what the engine runs.
func buildPlugin(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "pulumi-resource-"+sdk.Name), "../../cmd/pulumi-resource-"+sdk.Name)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, out)
	}
	return dir
}

// pulumiCLI finds the CLI that `make setup` builds.
func pulumiCLI(t *testing.T) string {
	t.Helper()
	if named := os.Getenv("PULUMI_BIN"); named != "" {
		return named
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		cached := filepath.Join(dir, ".cache", "pulumi", "v3.256.0", "bin", "pulumi")
		if _, err := os.Stat(cached); err == nil {
			return cached
		}
	}
	found, err := exec.LookPath("pulumi")
	if err != nil {
		t.Fatal("the Pulumi CLI is missing: run `make setup`, or set PULUMI_BIN")
	}
	return found
}

func (d *deployment) up(want map[string]int, wantChanged []string) {
	d.t.Helper()
	seen, stop := d.watch()
	out, err := d.stack.Up(context.Background(), optup.EventStreams(seen))
	changed := stop()
	if err != nil {
		d.t.Fatalf("up: %v\n%s", err, out.StdErr)
	}
	if diff := cmp.Diff(want, *out.Summary.ResourceChanges); diff != "" {
		d.t.Fatalf("up (-want +got):\n%s%s", diff, out.StdOut)
	}
	if diff := cmp.Diff(wantChanged, changed); wantChanged != nil && diff != "" {
		d.t.Fatalf("up changed (-want +got):\n%s%s", diff, out.StdOut)
	}
}

func (d *deployment) refresh(want []string) {
	d.t.Helper()
	seen, stop := d.watch()
	out, err := d.stack.Refresh(context.Background(), optrefresh.EventStreams(seen))
	changed := stop()
	if err != nil {
		d.t.Fatalf("refresh: %v\n%s", err, out.StdErr)
	}
	if diff := cmp.Diff(sortedStrings(want), changed); diff != "" {
		d.t.Fatalf("refresh found (-want +got):\n%s%s", diff, out.StdOut)
	}
}

// forget takes every resource out of the state.
func (d *deployment) forget() {
	d.t.Helper()
	state, err := d.stack.Export(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	var content object
	if err := json.Unmarshal(state.Deployment, &content); err != nil || len(list(content["resources"])) != 6 {
		d.t.Fatalf("state: %v %v", content["resources"], err)
	}
	delete(content, "resources")
	if state.Deployment, err = json.Marshal(content); err != nil {
		d.t.Fatal(err)
	}
	if err := d.stack.Import(context.Background(), state); err != nil {
		d.t.Fatal(err)
	}
}

func (d *deployment) destroy() {
	d.t.Helper()
	if out, err := d.stack.Destroy(context.Background(), optdestroy.Remove()); err != nil {
		d.t.Fatalf("destroy: %v\n%s", err, out.StdErr)
	}
}

// watch gathers the changed properties of every resource, as "Kind name: path".
func (d *deployment) watch() (chan events.EngineEvent, func() []string) {
	seen, done := make(chan events.EngineEvent), make(chan map[string]bool)
	go func() {
		found := map[string]bool{}
		for e := range seen {
			if e.ResOutputsEvent == nil || !strings.HasPrefix(e.ResOutputsEvent.Metadata.Type, sdk.Name+":") {
				continue
			}
			m := e.ResOutputsEvent.Metadata
			kind, name := m.Type[strings.LastIndex(m.Type, ":")+1:], m.URN[strings.LastIndex(m.URN, ":")+1:]
			if m.Op == "delete" || m.Op == "refresh" && m.New == nil {
				found[kind+" "+name+": deleted"] = true
			}
			for path := range m.DetailedDiff {
				found[kind+" "+name+": "+path] = true
			}
		}
		done <- found
	}()
	return seen, func() []string {
		var out []string
		for line := range <-done {
			out = append(out, line)
		}
		return sortedStrings(out)
	}
}

// occurrences are the files under dir that contain one of the texts.
func occurrences(t *testing.T, dir string, texts ...string) []string {
	t.Helper()
	var found []string
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		for _, text := range texts {
			if strings.Contains(string(content), text) {
				found = append(found, path)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("no state to look into: %d files, %v", files, err)
	}
	return found
}
