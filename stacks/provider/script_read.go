package provider

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-go-provider/infer"

	"github.com/cognomega/edge/internal/cfapi"
)

// setElsewhere stands for the value of a secret that this program did not set.
const setElsewhere = "(set outside of this program)"

// Read finds everything that is live of the script; a script that is not there answers with no id.
func (WorkerScript) Read(
	ctx context.Context, req infer.ReadRequest[WorkerScriptArgs, WorkerScriptState],
) (infer.ReadResponse[WorkerScriptArgs, WorkerScriptState], error) {
	var out infer.ReadResponse[WorkerScriptArgs, WorkerScriptState]
	account, name := splitID(req.ID)
	if account == "" || name == "" {
		return out, badID(req.ID, "<account id>/<script name>")
	}
	client, err := clientFor(ctx, account)
	if err != nil {
		return out, err
	}
	live, err := readLive(ctx, client, name, len(req.State.DurableObjects) > 0)
	if gone(err) {
		return out, nil
	}
	if err != nil {
		return out, explain(err)
	}
	prior := req.State
	prior.AccountID, prior.Name = account, name
	out.ID = req.ID
	out.State = live.observe(prior)
	out.Inputs = out.State.WorkerScriptArgs
	out.Inputs.Secrets = declaredSecrets(req.Inputs.Secrets, out.State.SecretDigests)
	return out, nil
}

// declaredSecrets keeps the declared values of the secrets that are still there, and names those that came from elsewhere.
func declaredSecrets(values, live map[string]string) map[string]string {
	if len(live) == 0 {
		return nil
	}
	out := map[string]string{}
	for name := range live {
		out[name] = setElsewhere
		if value, ours := values[name]; ours {
			out[name] = value
		}
	}
	return out
}

// liveScript is everything the API says of one script.
type liveScript struct {
	name       string
	settings   cfapi.ScriptSettings
	switches   cfapi.Switches
	deployment cfapi.Deployment
	version    cfapi.Version
	etag       string
	objects    []cfapi.ObjectNamespace
}

// readLive gathers them. The deployed version counts, not the newest: the two differ after an upload without a deploy, and after a roll-back.
func readLive(ctx context.Context, client *cfapi.Client, name string, objects bool) (*liveScript, error) {
	l := &liveScript{name: name}
	var err error
	if l.settings, err = client.ScriptSettings(ctx, name); err != nil {
		return nil, err
	}
	// An account without a workers.dev name answers 10007 here, also for scripts that exist; both switches are off then.
	if l.switches, err = client.ScriptSwitches(ctx, name); err != nil && !gone(err) {
		return nil, err
	}
	if err := l.readVersion(ctx, client); err != nil {
		return nil, err
	}
	if objects || l.settings.MigrationTag != "" {
		if l.objects, err = client.ObjectNamespaces(ctx); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *liveScript) readVersion(ctx context.Context, client *cfapi.Client) error {
	deployments, err := client.Deployments(ctx, l.name)
	if err != nil {
		return err
	}
	if len(deployments) > 0 && len(deployments[0].Versions) > 0 {
		l.deployment = deployments[0]
		if l.version, err = client.Version(ctx, l.name, largest(l.deployment.Versions).VersionID); err != nil {
			return err
		}
	}
	if l.etag = l.version.Resources.Script.ETag; l.etag == "" {
		l.etag, err = listedETag(ctx, client, l.name)
	}
	return err
}

func largest(shares []cfapi.VersionShare) cfapi.VersionShare {
	return slices.MaxFunc(shares, func(a, b cfapi.VersionShare) int { return cmp.Compare(a.Percentage, b.Percentage) })
}

func listedETag(ctx context.Context, client *cfapi.Client, name string) (string, error) {
	scripts, err := client.Scripts(ctx)
	for _, s := range scripts {
		if s.Name == name {
			return s.ETag, nil
		}
	}
	return "", err
}

// serves is true once the upload is what is deployed. Cloudflare's answer to an upload has the version's id, without hyphens, as deployment_id.
func (l *liveScript) serves(u cfapi.ScriptUploaded) bool {
	plain := func(id string) string { return strings.ReplaceAll(id, "-", "") }
	want := plain(u.DeploymentID)
	return want == "" || want == plain(l.deployment.ID) || want == plain(l.version.ID)
}

// observe overlays what is live on what was known: fields that agree keep the spelling they were declared in.
func (l *liveScript) observe(prior WorkerScriptState) WorkerScriptState {
	s := prior
	s.Secrets = nil
	bindings, date, flags := l.settings.Bindings, l.settings.CompatibilityDate, l.settings.CompatibilityFlags
	if l.version.Resources.Bindings != nil {
		bindings = l.version.Resources.Bindings
	}
	if runtime := l.version.Resources.Runtime; runtime.CompatibilityDate != "" {
		date, flags = runtime.CompatibilityDate, runtime.CompatibilityFlags
	}
	s.CompatibilityDate = date
	s.CompatibilityFlags = sameSet(prior.CompatibilityFlags, flags)
	s.Bindings = l.bindings(prior, bindings)
	s.SecretDigests = l.secrets(prior, bindings)
	s.DurableObjects = l.classes(prior.DurableObjects)
	s.Modules = l.modules(prior)
	l.observeSettings(&s, prior)
	s.ETag, s.VersionID, s.DeploymentID = l.etag, l.version.ID, l.deployment.ID
	s.MigrationTag = cmp.Or(l.settings.MigrationTag, l.version.Resources.Runtime.MigrationTag)
	s.StartupMS = max(l.version.StartupMS, prior.StartupMS)
	return s
}

func (l *liveScript) observeSettings(s *WorkerScriptState, prior WorkerScriptState) {
	s.WorkersDev, s.Previews, s.Logpush = l.switches.WorkersDev, l.switches.Previews, l.settings.Logpush
	if live := observability(l.settings.Observability); live != nil || prior.Observability.normal() != nil {
		s.Observability = live
	}
	s.Placement, s.CPUMS = nil, nil
	if l.settings.Placement != nil && l.settings.Placement.Mode != "off" {
		s.Placement = some(l.settings.Placement.Mode)
	}
	if limits := cmp.Or(l.version.Resources.Runtime.Limits, l.settings.Limits); limits != nil && limits.CPUMS > 0 {
		s.CPUMS = &limits.CPUMS
	}
	var tails []string
	for _, t := range l.settings.TailConsumers {
		tails = append(tails, t.Service)
	}
	s.TailConsumers = sameSet(prior.TailConsumers, tails)
	s.Tags = sameSet(prior.Tags, ownTags(prior.Tags, l.settings.Tags))
}

// ownTags leaves out the tags that Cloudflare's own tools put on scripts.
func ownTags(declared, live []string) []string {
	return slices.DeleteFunc(slices.Clone(live), func(tag string) bool {
		return strings.HasPrefix(tag, "cf:") && !slices.Contains(declared, tag)
	})
}

func observability(live *cfapi.Observability) *Observability {
	if live == nil || !live.Enabled {
		return nil
	}
	o := &Observability{Enabled: true, HeadSamplingRate: live.HeadSamplingRate}
	if live.Logs != nil {
		o.InvocationLogs = live.Logs.Enabled && live.Logs.InvocationLogs
		o.HeadSamplingRate = cmp.Or(o.HeadSamplingRate, live.Logs.HeadSamplingRate)
	}
	return o
}

// sameSet is the declared list when the live one has the same members.
func sameSet(declared, live []string) []string {
	if slices.Equal(sorted(declared), sorted(live)) {
		return declared
	}
	return live
}

func (l *liveScript) bindings(prior WorkerScriptState, live []cfapi.Binding) []Binding {
	declared := map[string]Binding{}
	for _, b := range prior.Bindings {
		declared[b.Name] = b
	}
	out := []Binding{}
	for _, w := range live {
		if w.Type == typeSecret {
			continue
		}
		b := fromWire(w, l.name)
		if was, known := declared[w.Name]; known && sameBinding(was.normal(l.name), b) {
			b = was
		}
		out = append(out, b)
	}
	return inOrderOf(prior.Bindings, out)
}

func sameBinding(a, b Binding) bool {
	c := changes{}
	c.binding("", a, b)
	return len(c) == 0
}

// secrets are the digests of the live ones. A version that we did not deploy may have any value, so its digests are empty.
func (l *liveScript) secrets(prior WorkerScriptState, live []cfapi.Binding) map[string]string {
	out := map[string]string{}
	for _, b := range live {
		if b.Type != typeSecret {
			continue
		}
		known, ours := prior.SecretDigests[b.Name]
		if !ours && (prior.KeepSecrets || slices.Contains(prior.RotatedSecrets, b.Name)) {
			continue
		}
		if prior.VersionID != "" && prior.VersionID != l.version.ID {
			known = ""
		}
		out[b.Name] = known
	}
	return out
}

func (l *liveScript) classes(declared []DurableObject) []DurableObject {
	live := map[string]DurableObject{}
	for _, o := range l.objects {
		if o.Script == l.name {
			live[o.Class] = DurableObject{Class: o.Class, SQLite: o.UseSQLite}
		}
	}
	var out []DurableObject
	for _, d := range declared {
		if o, exists := live[d.Class]; exists {
			o.RenamedFrom = d.RenamedFrom
			out = append(out, o)
			delete(live, d.Class)
		}
	}
	for _, class := range sortedKeys(live) {
		out = append(out, live[class])
	}
	return out
}

// modules keeps the digests that were uploaded while the live code is that upload; otherwise the main module's says what is there instead.
func (l *liveScript) modules(prior WorkerScriptState) map[string]Module {
	var instead string
	switch {
	case len(l.deployment.Versions) > 1:
		instead = "traffic is split: " + shares(l.deployment.Versions)
	case prior.ETag != "" && l.etag != prior.ETag:
		instead = "code with etag " + l.etag
	case prior.Modules == nil: // an imported script
		return map[string]Module{}
	default:
		return prior.Modules
	}
	out := map[string]Module{}
	for name, m := range prior.Modules {
		if name == prior.MainModule {
			m.Digest = &instead
		}
		out[name] = m
	}
	return out
}

func shares(versions []cfapi.VersionShare) string {
	var parts []string
	for _, v := range versions {
		parts = append(parts, fmt.Sprintf("%s %g%%", v.VersionID, v.Percentage))
	}
	return strings.Join(parts, ", ")
}
