package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi-go-provider/infer"

	"github.com/cognomega/edge/internal/cfapi"
)

// apply uploads the script, sets its switches, and reads back until what is live is what was declared.
func apply(ctx context.Context, args WorkerScriptArgs, next WorkerScriptState) (WorkerScriptState, error) {
	client, err := clientFor(ctx, args.AccountID)
	if err != nil {
		return next, err
	}
	uploaded, err := upload(ctx, client, args)
	if err != nil {
		return next, explain(err)
	}
	next.SecretDigests = secretDigests(next.SecretKey, args.Secrets)
	for _, name := range args.RotatedSecrets {
		if _, declared := args.Secrets[name]; declared {
			next.SecretDigests[name] = "" // what is live may be another value
		}
	}
	next.ETag, next.VersionID = "", "" // whatever is read back now is ours
	return settle(ctx, client, args, next, uploaded)
}

// upload sends the bundle with the migration that the live classes call for. When another deploy migrated in between, it looks once more.
func upload(ctx context.Context, client *cfapi.Client, args WorkerScriptArgs) (cfapi.ScriptUploaded, error) {
	modules, err := loadModules(args)
	if err != nil {
		return cfapi.ScriptUploaded{}, err
	}
	for attempt := 0; ; attempt++ {
		classes, err := readClasses(ctx, client, args)
		if err != nil {
			return cfapi.ScriptUploaded{}, err
		}
		migrations, err := migrate(args, classes)
		if err != nil {
			return cfapi.ScriptUploaded{}, err
		}
		out, err := client.PutScript(ctx, args.Name, uploadOf(args, modules, migrations, classes.secrets))
		if cfapi.HasCode(err, 10079) && attempt == 0 {
			continue
		}
		return out, located(err, modules)
	}
}

// readClasses finds the live tag and classes; a script that is not there has none.
func readClasses(ctx context.Context, client *cfapi.Client, args WorkerScriptArgs) (liveClasses, error) {
	settings, err := client.ScriptSettings(ctx, args.Name)
	if gone(err) {
		return liveClasses{}, nil
	}
	if err != nil {
		return liveClasses{}, err
	}
	live := liveClasses{tag: settings.MigrationTag, sqlite: map[string]bool{}, secrets: map[string]bool{}}
	for _, b := range settings.Bindings {
		live.secrets[b.Name] = b.Type == typeSecret
	}
	if live.tag == "" && len(args.DurableObjects) == 0 {
		return live, nil
	}
	objects, err := client.ObjectNamespaces(ctx)
	if err != nil {
		return live, err
	}
	for _, o := range objects {
		if o.Script == args.Name {
			live.sqlite[o.Class] = o.UseSQLite
		}
	}
	if live.tag == "" && len(live.sqlite) > 0 {
		live.tag, err = client.MigrationTag(ctx, args.Name)
	}
	return live, err
}

func uploadOf(w WorkerScriptArgs, modules []cfapi.Module, migrations *cfapi.Migrations, liveSecrets map[string]bool) cfapi.ScriptUpload {
	u := cfapi.ScriptUpload{
		Modules: modules, MainModule: w.MainModule, Migrations: migrations,
		CompatibilityDate: w.CompatibilityDate, CompatibilityFlags: append([]string{}, w.CompatibilityFlags...),
		Bindings: []cfapi.Binding{}, Observability: w.Observability.wire(), Logpush: w.Logpush,
		TailConsumers: []cfapi.TailConsumer{}, Tags: append([]string{}, w.Tags...),
		Annotations: annotations(w),
	}
	for _, b := range w.Bindings {
		u.Bindings = append(u.Bindings, b.wire())
	}
	u.Bindings = append(u.Bindings, w.secretBindings(liveSecrets)...)
	if w.KeepSecrets {
		u.KeepBindings = []string{typeSecret}
	}
	if mode := text(w.Placement); mode != "" {
		u.Placement = &cfapi.Placement{Mode: mode}
	}
	if w.CPUMS != nil && *w.CPUMS > 0 {
		u.Limits = &cfapi.Limits{CPUMS: *w.CPUMS}
	}
	for _, service := range w.TailConsumers {
		u.TailConsumers = append(u.TailConsumers, cfapi.TailConsumer{Service: service})
	}
	return u
}

// secretBindings gives the declared values, but for rotated secrets that are live: those are taken over from the version before.
// One that is neither live nor declared is taken over too, because a rotation may write it while this upload is on its way.
func (w *WorkerScriptArgs) secretBindings(live map[string]bool) []cfapi.Binding {
	var out []cfapi.Binding
	for _, name := range sortedKeys(w.Secrets) {
		if value := w.Secrets[name]; !live[name] || !slices.Contains(w.RotatedSecrets, name) {
			out = append(out, cfapi.Binding{Name: name, Type: typeSecret, Text: &value})
		}
	}
	for _, name := range w.RotatedSecrets {
		if _, declared := w.Secrets[name]; live[name] || !declared && live != nil {
			out = append(out, cfapi.Binding{Name: name, Type: typeInherit})
		}
	}
	return out
}

// annotations carry the digest into the list of versions, so that a version can be told from its bundle. Cloudflare takes 25 characters of tag and 100 bytes of message.
func annotations(w WorkerScriptArgs) map[string]string {
	a := map[string]string{"workers/tag": "bundle-" + bundleDigest(w)[:16]}
	if message := text(w.Message); message != "" {
		a["workers/message"] = strings.ToValidUTF8(message[:min(len(message), 100)], "")
	}
	return a
}

func (o *Observability) wire() *cfapi.Observability {
	if o.normal() == nil {
		return &cfapi.Observability{}
	}
	return &cfapi.Observability{
		Enabled: true, HeadSamplingRate: o.HeadSamplingRate,
		Logs: &cfapi.ObservabilityLogs{Enabled: true, HeadSamplingRate: o.HeadSamplingRate, InvocationLogs: o.InvocationLogs},
	}
}

// settleWaits are the pauses between read-backs: Cloudflare's read side may trail its writes by a moment.
var settleWaits = []time.Duration{50 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second}

// settle reads back until what is live is what was declared. What cannot be brought to agree is an error that keeps the resource.
func settle(
	ctx context.Context, client *cfapi.Client, args WorkerScriptArgs, next WorkerScriptState, uploaded cfapi.ScriptUploaded,
) (WorkerScriptState, error) {
	if err := setSwitches(ctx, client, args); err != nil {
		return next, incomplete("script %s is uploaded, and then: %v", args.Name, explain(err))
	}
	var state WorkerScriptState
	var err error
	for _, wait := range append(settleWaits[:len(settleWaits):len(settleWaits)], 0) {
		var settled bool
		if state, settled, err = readBack(ctx, client, args, next, uploaded); settled {
			return state, nil
		}
		if err != nil && !gone(err) || pause(ctx, wait) != nil {
			break
		}
	}
	if err != nil {
		return next, incomplete("script %s is uploaded, and then: %v", args.Name, explain(err))
	}
	if differs := diffScript(state, args); len(differs) > 0 {
		return state, incomplete("script %s is uploaded, and reads back different from what was declared: %s", args.Name, strings.Join(differs.paths(), ", "))
	}
	return state, nil // all agrees; only the list of deployments does not name this upload
}

func readBack(
	ctx context.Context, client *cfapi.Client, args WorkerScriptArgs, next WorkerScriptState, uploaded cfapi.ScriptUploaded,
) (WorkerScriptState, bool, error) {
	live, err := readLive(ctx, client, args.Name, len(args.DurableObjects) > 0)
	if err != nil {
		return next, false, err
	}
	state := live.observe(next)
	state.StartupMS = max(state.StartupMS, uploaded.StartupMS)
	return state, live.serves(uploaded) && len(diffScript(state, args)) == 0, nil
}

// setSwitches writes only when it has to: an account without a workers.dev name has both off, and refuses the call.
func setSwitches(ctx context.Context, client *cfapi.Client, args WorkerScriptArgs) error {
	want := cfapi.Switches{WorkersDev: args.WorkersDev, Previews: args.Previews}
	live, err := client.ScriptSwitches(ctx, args.Name)
	if err != nil && !gone(err) {
		return err
	}
	if live == want {
		return nil
	}
	return client.SetScriptSwitches(ctx, args.Name, want)
}

// incomplete makes the engine keep the resource in its state and try again at the next run.
func incomplete(format string, args ...any) error {
	return infer.ResourceInitFailedError{Reasons: []string{fmt.Sprintf(format, args...)}}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
