package provider

import (
	"context"
	"strings"

	"github.com/pulumi/pulumi-go-provider/infer"

	"github.com/cognomega/edge/internal/fault"
)

// WorkerScript owns one Worker: an upload replaces the whole binding set, so one resource has to own all of it.
type WorkerScript struct{}

// WorkerScriptArgs are a script's inputs.
type WorkerScriptArgs struct {
	AccountID          string            `pulumi:"accountId,optional" provider:"replaceOnChanges"`
	Name               string            `pulumi:"name" provider:"replaceOnChanges"`
	MainModule         string            `pulumi:"mainModule"`
	Modules            map[string]Module `pulumi:"modules"`
	Bindings           []Binding         `pulumi:"bindings,optional"`
	Secrets            map[string]string `pulumi:"secrets,optional" provider:"secret"`
	KeepSecrets        bool              `pulumi:"keepSecrets,optional"`
	RotatedSecrets     []string          `pulumi:"rotatedSecrets,optional"`
	CompatibilityDate  string            `pulumi:"compatibilityDate"`
	CompatibilityFlags []string          `pulumi:"compatibilityFlags,optional"`
	DurableObjects     []DurableObject   `pulumi:"durableObjects,optional"`
	DeletedClasses     []string          `pulumi:"deletedClasses,optional"`
	WorkersDev         bool              `pulumi:"workersDev,optional"`
	Previews           bool              `pulumi:"previews,optional"`
	Observability      *Observability    `pulumi:"observability,optional"`
	Placement          *string           `pulumi:"placement,optional"`
	CPUMS              *int              `pulumi:"cpuMs,optional"`
	Logpush            bool              `pulumi:"logpush,optional"`
	TailConsumers      []string          `pulumi:"tailConsumers,optional"`
	Tags               []string          `pulumi:"tags,optional"`
	Message            *string           `pulumi:"message,optional"`
	ForceDestroy       bool              `pulumi:"forceDestroy,optional"`
}

// Module is one file of the bundle. Its bytes stay out of the state; the digest, which Check fills in, stands for them.
type Module struct {
	Path    *string `pulumi:"path,optional"`
	Content *string `pulumi:"content,optional"`
	Type    *string `pulumi:"type,optional"`
	Digest  *string `pulumi:"digest,optional"`
}

// DurableObject is a class that the script implements.
type DurableObject struct {
	Class       string  `pulumi:"class"`
	SQLite      bool    `pulumi:"sqlite,optional"`
	RenamedFrom *string `pulumi:"renamedFrom,optional"`
}

// Observability is the Workers Logs setting.
type Observability struct {
	Enabled          bool     `pulumi:"enabled"`
	HeadSamplingRate *float64 `pulumi:"headSamplingRate,optional"`
	InvocationLogs   bool     `pulumi:"invocationLogs,optional"`
}

// WorkerScriptState is what is known of a script: the inputs as they are live, and what Cloudflare made of them.
// Secrets are not in it: SecretDigests, keyed with SecretKey, tell whether a declared value is the deployed one.
type WorkerScriptState struct {
	WorkerScriptArgs
	BundleDigest  string            `pulumi:"bundleDigest"`
	ETag          string            `pulumi:"etag"`
	VersionID     string            `pulumi:"versionId"`
	DeploymentID  string            `pulumi:"deploymentId"`
	MigrationTag  string            `pulumi:"migrationTag"`
	StartupMS     int               `pulumi:"startupMs"`
	SecretKey     string            `pulumi:"secretKey" provider:"secret"`
	SecretDigests map[string]string `pulumi:"secretDigests" provider:"secret"`
}

// Annotate sets the token and documents what is not plain from the names.
func (*WorkerScript) Annotate(a infer.Annotator) { a.SetToken("index", "WorkerScript") }

// Annotate documents the inputs.
func (w *WorkerScriptArgs) Annotate(a infer.Annotator) {
	a.Describe(&w.AccountID, "The account; otherwise the provider's.")
	a.Describe(&w.Modules, "The bundle by module name. Contents are read when they are uploaded; an edit shows as a change of digest.")
	a.Describe(&w.Secrets, "The script's secret_text bindings.")
	a.Describe(&w.KeepSecrets, "Leave secrets that are live and not declared alone.")
	a.Describe(&w.RotatedSecrets, "Secrets that a key rotation changes: a declared value is set where none is live; what is live is kept and never compared.")
	a.Describe(&w.DurableObjects, "The classes the script implements. Migrations are derived from what is live.")
	a.Describe(&w.DeletedClasses, "Classes that may be deleted with all their objects.")
	a.Describe(&w.WorkersDev, "Serve at the workers.dev address.")
	a.Describe(&w.Previews, "Serve every version at its preview address.")
	a.Describe(&w.Message, "Why this version was made. A new message alone deploys nothing.")
	a.Describe(&w.ForceDestroy, "Delete the script with its objects, and though others are bound to it.")
}

// WireDependencies keeps the key and the digests secret: together they would allow guessing at weak secrets.
func (WorkerScript) WireDependencies(f infer.FieldSelector, _ *WorkerScriptArgs, state *WorkerScriptState) {
	f.OutputField(&state.SecretKey).AlwaysSecret()
	f.OutputField(&state.SecretDigests).AlwaysSecret()
}

// Create uploads the script. A script of that name that is there already is taken over, so that a run killed after the upload converges.
func (WorkerScript) Create(ctx context.Context, req infer.CreateRequest[WorkerScriptArgs]) (infer.CreateResponse[WorkerScriptState], error) {
	out := infer.CreateResponse[WorkerScriptState]{ID: req.Inputs.id(), Output: declared(req.Inputs)}
	if req.DryRun {
		return out, nil
	}
	key, err := newSecretKey()
	if err != nil {
		return out, err
	}
	out.Output.SecretKey = key
	out.Output, err = apply(ctx, req.Inputs, out.Output)
	return out, err
}

// Update uploads the script again and sets the switches; what is live and not declared goes.
func (WorkerScript) Update(
	ctx context.Context, req infer.UpdateRequest[WorkerScriptArgs, WorkerScriptState],
) (infer.UpdateResponse[WorkerScriptState], error) {
	next := req.State
	next.WorkerScriptArgs = declared(req.Inputs).WorkerScriptArgs
	out := infer.UpdateResponse[WorkerScriptState]{Output: next}
	if req.DryRun {
		return out, nil
	}
	if next.SecretKey == "" { // an imported script
		key, err := newSecretKey()
		if err != nil {
			return out, err
		}
		next.SecretKey = key
	}
	var err error
	out.Output, err = apply(ctx, req.Inputs, next)
	return out, err
}

// Delete removes the script; one that is gone already is fine.
func (WorkerScript) Delete(ctx context.Context, req infer.DeleteRequest[WorkerScriptState]) (infer.DeleteResponse, error) {
	account, name := splitID(req.ID)
	client, err := clientFor(ctx, account)
	if err != nil {
		return infer.DeleteResponse{}, err
	}
	err = client.DeleteScript(ctx, name, req.State.ForceDestroy)
	if gone(err) {
		return infer.DeleteResponse{}, nil
	}
	return infer.DeleteResponse{}, explain(err)
}

// declared is the state that an upload of args is to reach, as far as args say.
func declared(args WorkerScriptArgs) WorkerScriptState {
	s := WorkerScriptState{WorkerScriptArgs: args, BundleDigest: bundleDigest(args)}
	s.Secrets = nil
	return s
}

func (w WorkerScriptArgs) id() string { return w.AccountID + "/" + w.Name }

// splitID takes apart the ids of all our resources: an account, and the rest.
func splitID(id string) (account, rest string) {
	account, rest, _ = strings.Cut(id, "/")
	return account, rest
}

func badID(id, form string) error {
	return explain(fault.New(fault.Invalid, "resource id %q is not of the form %s", id, form))
}
