package sdk

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// WorkerScript is one Worker: its code, everything bound to it, its Durable Object classes and its switches, deployed to all traffic.
type WorkerScript struct {
	pulumi.CustomResourceState
	Name         pulumi.StringOutput `pulumi:"name"`
	BundleDigest pulumi.StringOutput `pulumi:"bundleDigest"` // hex SHA-256 over the modules
	ETag         pulumi.StringOutput `pulumi:"etag"`
	VersionID    pulumi.StringOutput `pulumi:"versionId"`
	DeploymentID pulumi.StringOutput `pulumi:"deploymentId"`
	MigrationTag pulumi.StringOutput `pulumi:"migrationTag"`
	StartupMS    pulumi.IntOutput    `pulumi:"startupMs"`
}

// WorkerScriptArgs declares a Worker; what is nil or empty is off, or Cloudflare's default.
type WorkerScriptArgs struct {
	AccountID          pulumi.StringPtrInput // else the provider's
	Name               pulumi.StringInput    // changing it replaces the script
	MainModule         pulumi.StringInput    // a name in Modules
	Modules            map[string]Module
	Bindings           []Binding                     // names are unique over Bindings and Secrets
	Secrets            map[string]pulumi.StringInput // secret_text bindings; kept as secrets whatever they are wrapped in
	KeepSecrets        bool                          // leave secrets that are on the script and not declared alone, instead of removing them
	RotatedSecrets     []string                      // secrets that something else changes: a value given here is set where none is live, and never again
	CompatibilityDate  pulumi.StringInput
	CompatibilityFlags []string
	DurableObjects     []DurableObject
	DeletedClasses     []string // classes whose objects may be deleted; a class that merely disappears from DurableObjects is refused
	WorkersDev         bool     // serve at <name>.<account>.workers.dev
	Previews           bool     // serve each version at its preview URL
	Observability      *Observability
	Placement          string // "" or "smart"
	CPUMS              int    // CPU milliseconds a request may use; 0 is the account's default
	Logpush            bool
	TailConsumers      []string // Workers that receive this one's traces
	Tags               []string
	ForceDestroy       bool   // on destroy, delete the script with its objects, and though others are bound to it
	Message            string // says why, in the version's annotations; a new message alone deploys nothing
}

// Module is one file of a bundle: at a path on this machine, or given inline when small.
type Module struct {
	Path    pulumi.StringPtrInput
	Content pulumi.StringPtrInput
	Type    string // a media type; else by the name's extension
}

// Binding binds one resource to a name in the Worker's env. Type decides which fields are wanted:
//
//	kv_namespace: NamespaceID          queue: QueueName                         ai, version_metadata: none
//	r2_bucket: BucketName              service: Service, Entrypoint?            plain_text: Text
//	hyperdrive: ID                     durable_object_namespace: ClassName,     json: JSON
//	analytics_engine: Dataset            ScriptName? (else this script)         ratelimit: NamespaceID, Limit, Period
type Binding struct {
	Name        string
	Type        string
	NamespaceID pulumi.StringInput
	BucketName  pulumi.StringInput
	QueueName   pulumi.StringInput
	Service     pulumi.StringInput
	Entrypoint  pulumi.StringInput
	ClassName   pulumi.StringInput
	ScriptName  pulumi.StringInput
	ID          pulumi.StringInput
	Dataset     pulumi.StringInput
	Text        pulumi.StringInput
	JSON        pulumi.StringInput // JSON text
	Limit       int                // calls
	Period      int                // seconds: 10 or 60
}

// DurableObject declares a class that the script exports and implements; migrations are derived from what is live.
type DurableObject struct {
	Class       string
	SQLite      bool
	RenamedFrom string // the class whose objects this one takes over; may stay once done
}

// Observability switches Workers Logs on; nil is off.
type Observability struct {
	Enabled          bool
	HeadSamplingRate float64 // 0 is Cloudflare's default, 1
	InvocationLogs   bool
}

// NewWorkerScript declares a Worker.
func NewWorkerScript(ctx *pulumi.Context, name string, args *WorkerScriptArgs, opts ...pulumi.ResourceOption) (*WorkerScript, error) {
	var r WorkerScript
	return &r, register(ctx, "WorkerScript", name, args.toMap(), &r, opts)
}

func (a *WorkerScriptArgs) toMap() pulumi.Map {
	m := pulumi.Map{}
	setInput(m, "accountId", a.AccountID)
	setInput(m, "name", a.Name)
	setInput(m, "mainModule", a.MainModule)
	setInput(m, "compatibilityDate", a.CompatibilityDate)
	modules := pulumi.Map{}
	for name, module := range a.Modules {
		modules[name] = module.toMap()
	}
	m["modules"] = modules
	bindings := pulumi.Array{}
	for _, b := range a.Bindings {
		bindings = append(bindings, b.toMap())
	}
	m["bindings"] = bindings
	if len(a.Secrets) > 0 {
		m["secrets"] = pulumi.ToSecret(pulumi.StringMap(a.Secrets))
	}
	setFlag(m, "keepSecrets", a.KeepSecrets)
	setStrings(m, "rotatedSecrets", a.RotatedSecrets)
	setStrings(m, "compatibilityFlags", a.CompatibilityFlags)
	setObjects(m, a.DurableObjects)
	setStrings(m, "deletedClasses", a.DeletedClasses)
	setFlag(m, "workersDev", a.WorkersDev)
	setFlag(m, "previews", a.Previews)
	if a.Observability != nil {
		m["observability"] = a.Observability.toMap()
	}
	setText(m, "placement", a.Placement)
	setNumber(m, "cpuMs", a.CPUMS)
	setFlag(m, "logpush", a.Logpush)
	setStrings(m, "tailConsumers", a.TailConsumers)
	setStrings(m, "tags", a.Tags)
	setFlag(m, "forceDestroy", a.ForceDestroy)
	setText(m, "message", a.Message)
	return m
}

func (f Module) toMap() pulumi.Map {
	m := pulumi.Map{}
	setInput(m, "path", f.Path)
	setInput(m, "content", f.Content)
	setText(m, "type", f.Type)
	return m
}

func (b Binding) toMap() pulumi.Map {
	m := pulumi.Map{"name": pulumi.String(b.Name), "type": pulumi.String(b.Type)}
	setInput(m, "namespaceId", b.NamespaceID)
	setInput(m, "bucketName", b.BucketName)
	setInput(m, "queueName", b.QueueName)
	setInput(m, "service", b.Service)
	setInput(m, "entrypoint", b.Entrypoint)
	setInput(m, "className", b.ClassName)
	setInput(m, "scriptName", b.ScriptName)
	setInput(m, "id", b.ID)
	setInput(m, "dataset", b.Dataset)
	setInput(m, "text", b.Text)
	setInput(m, "json", b.JSON)
	setNumber(m, "limit", b.Limit)
	setNumber(m, "period", b.Period)
	return m
}

func (o *Observability) toMap() pulumi.Map {
	m := pulumi.Map{"enabled": pulumi.Bool(o.Enabled)}
	if o.HeadSamplingRate != 0 {
		m["headSamplingRate"] = pulumi.Float64(o.HeadSamplingRate)
	}
	setFlag(m, "invocationLogs", o.InvocationLogs)
	return m
}

func setObjects(m pulumi.Map, objects []DurableObject) {
	if len(objects) == 0 {
		return
	}
	list := pulumi.Array{}
	for _, o := range objects {
		object := pulumi.Map{"class": pulumi.String(o.Class)}
		setFlag(object, "sqlite", o.SQLite)
		setText(object, "renamedFrom", o.RenamedFrom)
		list = append(list, object)
	}
	m["durableObjects"] = list
}

func setFlag(m pulumi.Map, key string, on bool) {
	if on {
		m[key] = pulumi.Bool(true)
	}
}

func setText(m pulumi.Map, key, text string) {
	if text != "" {
		m[key] = pulumi.String(text)
	}
}

func setNumber(m pulumi.Map, key string, n int) {
	if n != 0 {
		m[key] = pulumi.Int(n)
	}
}
