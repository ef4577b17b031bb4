package provider_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/blang/semver"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/integration"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/cognomega/edge/stacks/provider"
)

// engine drives one resource through the provider's protocol as the Pulumi engine would, without one.
type engine struct {
	t      *testing.T
	cloud  *cloud
	server integration.Server
	kind   string
	id     string
	inputs property.Map // as checked
	state  property.Map
}

func newEngine(t *testing.T, c *cloud, kind string) *engine {
	t.Helper()
	environment := map[string]string{"CLOUDFLARE_API_TOKEN": token, "CLOUDFLARE_BASE_URL": c.base}
	built, err := provider.New(provider.Options{Getenv: func(name string) string { return environment[name] }})
	if err != nil {
		t.Fatal(err)
	}
	server, err := integration.NewServer(t.Context(), "cognomega", semver.MustParse("0.1.0"), integration.WithProvider(built))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Configure(p.ConfigureRequest{Args: props(object{"accountId": account})}); err != nil {
		t.Fatal(err)
	}
	return &engine{t: t, cloud: c, server: server, kind: kind}
}

func (e *engine) urn() resource.URN {
	return resource.NewURN("test", "test", "", tokens.Type("cognomega:index:"+e.kind), "it")
}

func (e *engine) check(in property.Map) (property.Map, []p.CheckFailure) {
	e.t.Helper()
	out, err := e.server.Check(p.CheckRequest{Urn: e.urn(), State: e.inputs, Inputs: in})
	if err != nil {
		e.t.Fatalf("check: %v", err)
	}
	return out.Inputs, out.Failures
}

func (e *engine) mustCheck(in property.Map) property.Map {
	e.t.Helper()
	out, failures := e.check(in)
	if len(failures) > 0 {
		e.t.Fatalf("check: %v", failures)
	}
	return out
}

func (e *engine) diff(checked property.Map) p.DiffResponse {
	e.t.Helper()
	out, err := e.server.Diff(p.DiffRequest{ID: e.id, Urn: e.urn(), State: e.state, OldInputs: e.inputs, Inputs: checked})
	if err != nil {
		e.t.Fatalf("diff: %v", err)
	}
	return out
}

// up does what `pulumi up` does with a resource, and returns the changed paths.
func (e *engine) up(in property.Map) ([]string, error) {
	e.t.Helper()
	checked := e.mustCheck(in)
	if e.id == "" {
		out, err := e.server.Create(p.CreateRequest{Urn: e.urn(), Properties: checked})
		if err == nil || out.ID != "" {
			e.id, e.inputs, e.state = out.ID, checked, out.Properties
		}
		return []string{"create"}, withReasons(err, out.PartialState)
	}
	diff := e.diff(checked)
	if !diff.HasChanges {
		return nil, nil
	}
	out, err := e.server.Update(p.UpdateRequest{ID: e.id, Urn: e.urn(), State: e.state, OldInputs: e.inputs, Inputs: checked})
	if err == nil || out.PartialState != nil {
		e.inputs, e.state = checked, out.Properties
	}
	return paths(diff), withReasons(err, out.PartialState)
}

// withReasons is what the engine shows of a resource that is kept and is not right.
func withReasons(err error, partial *p.InitializationFailed) error {
	if err == nil || partial == nil {
		return err
	}
	return fmt.Errorf("%w: %s", err, strings.Join(partial.Reasons, "; "))
}

func (e *engine) mustUp(in property.Map) []string {
	e.t.Helper()
	changed, err := e.up(in)
	if err != nil {
		e.t.Fatalf("up: %v", err)
	}
	return changed
}

// refresh reads the resource as `pulumi refresh` does; a resource that is gone leaves no id.
func (e *engine) refresh() {
	e.t.Helper()
	out, err := e.server.Read(p.ReadRequest{ID: e.id, Urn: e.urn(), Properties: e.state, Inputs: e.inputs})
	if err != nil {
		e.t.Fatalf("read: %v", err)
	}
	e.id, e.inputs, e.state = out.ID, out.Inputs, out.Properties
}

func (e *engine) destroy() error {
	return e.server.Delete(p.DeleteRequest{ID: e.id, Urn: e.urn(), Properties: e.state})
}

func paths(d p.DiffResponse) []string {
	out := []string{}
	for path := range d.DetailedDiff {
		out = append(out, path)
	}
	return sortedStrings(out)
}

// props turns plain Go values into properties.
func props(m object) property.Map { return value(m).AsMap() }

type secretly struct{ v any }

func value(v any) property.Value {
	switch v := v.(type) {
	case object:
		out := map[string]property.Value{}
		for name, item := range v {
			out[name] = value(item)
		}
		return property.New(out)
	case []any:
		out := []property.Value{}
		for _, item := range v {
			out = append(out, value(item))
		}
		return property.New(out)
	case secretly:
		return value(v.v).WithSecret(true)
	case property.Value:
		return v
	case string:
		return property.New(v)
	case bool:
		return property.New(v)
	case int:
		return property.New(float64(v))
	case float64:
		return property.New(v)
	default:
		panic("no property for this type")
	}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
