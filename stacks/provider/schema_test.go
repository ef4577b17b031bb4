package provider_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/cognomega/edge/stacks/provider/sdk"
)

// everything is a program that sets every field of the Go structs.
func everything(ctx *pulumi.Context) error {
	s, n := pulumi.String("s"), pulumi.Int(1)
	if _, err := sdk.NewProvider(ctx, "p", &sdk.ProviderArgs{AccountID: s, APIToken: s, BaseURL: s}); err != nil {
		return err
	}
	_, err := sdk.NewWorkerScript(ctx, "w", &sdk.WorkerScriptArgs{
		AccountID: s, Name: s, MainModule: s, CompatibilityDate: s, CompatibilityFlags: []string{"f"},
		Modules: map[string]sdk.Module{"m": {Path: s, Content: s, Type: "t"}},
		Bindings: []sdk.Binding{{
			Name: "n", Type: "t", NamespaceID: s, BucketName: s, QueueName: s, Service: s, Entrypoint: s, ClassName: s, ScriptName: s, ID: s,
			Dataset: s, Text: s, JSON: s, Limit: 1, Period: 1,
		}},
		Secrets: map[string]pulumi.StringInput{"S": s}, KeepSecrets: true, RotatedSecrets: []string{"S"}, DurableObjects: []sdk.DurableObject{{Class: "C", SQLite: true, RenamedFrom: "D"}},
		DeletedClasses: []string{"E"}, WorkersDev: true, Previews: true, Observability: &sdk.Observability{Enabled: true, HeadSamplingRate: 1, InvocationLogs: true},
		Placement: "smart", CPUMS: 1, Logpush: true, TailConsumers: []string{"t"}, Tags: []string{"t"}, ForceDestroy: true, Message: "m",
	})
	if err != nil {
		return err
	}
	if _, err := sdk.NewQueueConsumer(ctx, "q", &sdk.QueueConsumerArgs{
		AccountID: s, QueueID: s, Type: "worker", ScriptName: s, DeadLetterQueue: s, BatchSize: n, MaxRetries: n, MaxWaitMS: n, MaxConcurrency: n,
		RetryDelaySeconds: n, VisibilityTimeoutMS: n,
	}); err != nil {
		return err
	}
	_, err = sdk.NewR2BucketLifecycle(ctx, "b", &sdk.R2BucketLifecycleArgs{
		AccountID: s, BucketName: s, KeepDefaultAbort: true,
		Rules: []sdk.LifecycleRule{{ID: "i", Disabled: true, Prefix: "p", ExpireDays: 1, InfrequentDays: 1, AbortMultipartDays: 1}},
	})
	return err
}

// recorder is a resource monitor that keeps what it is asked to register.
type recorder struct {
	mu     sync.Mutex
	inputs map[string]resource.PropertyMap // by type
}

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inputs[args.TypeToken] = args.Inputs
	return "id", args.Inputs, nil
}

func (r *recorder) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }

type schema struct {
	Provider  shape
	Resources map[string]shape
	Types     map[string]struct{ Properties map[string]fieldSpec }
}

type shape struct{ InputProperties map[string]fieldSpec }

type fieldSpec struct {
	Ref                  string `json:"$ref"`
	Items                *fieldSpec
	AdditionalProperties *fieldSpec
	Secret               bool
}

// The structs that programs use are written by hand: every input of the schema must be in them, and nothing else.
func TestStructsAndSchemaAgree(t *testing.T) {
	t.Parallel()
	r := &recorder{inputs: map[string]resource.PropertyMap{}}
	if err := pulumi.RunErr(everything, pulumi.WithMocks("project", "stack", r)); err != nil {
		t.Fatal(err)
	}
	out, err := newEngine(t, newCloud(t), "WorkerScript").server.GetSchema(p.GetSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal([]byte(out.Schema), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Resources) != 3 || len(r.inputs) != 4 {
		t.Fatalf("resources %d, registered %d", len(s.Resources), len(r.inputs))
	}
	s.compare(t, "provider", s.Provider.InputProperties, r.inputs["pulumi:providers:cognomega"])
	for token, shape := range s.Resources {
		s.compare(t, token, shape.InputProperties, r.inputs[token])
	}
	if !s.Resources["cognomega:index:WorkerScript"].InputProperties["secrets"].Secret || !s.Provider.InputProperties["apiToken"].Secret {
		t.Error("a secret input is not secret in the schema")
	}
}

// computed are inputs that Check fills in, or that reads alone have.
func computed(name string) bool { return name == "digest" || name == "beyond" }

func (s schema) compare(t *testing.T, at string, want map[string]fieldSpec, got resource.PropertyMap) {
	t.Helper()
	for name := range got {
		if _, known := want[string(name)]; !known {
			t.Errorf("%s: the structs set %s, which the provider does not have", at, name)
		}
	}
	for name, prop := range want {
		value, set := got[resource.PropertyKey(name)]
		if !set && !computed(name) {
			t.Errorf("%s: the structs cannot set %s", at, name)
		}
		for value.IsSecret() {
			value = value.SecretValue().Element
		}
		if prop.Items != nil && value.IsArray() && len(value.ArrayValue()) > 0 {
			prop, value = *prop.Items, value.ArrayValue()[0]
		}
		if prop.AdditionalProperties != nil && value.IsObject() {
			for _, item := range value.ObjectValue() {
				prop, value = *prop.AdditionalProperties, item
			}
		}
		if prop.Ref != "" && value.IsObject() {
			s.compare(t, at+"."+name, s.Types[strings.TrimPrefix(prop.Ref, "#/types/")].Properties, value.ObjectValue())
		}
	}
}
