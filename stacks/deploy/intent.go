package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/cognomega/edge/internal/fault"
)

// intent is the creation of one resource, written down before the engine begins. The engine drops a creation from its state when it
// hears of a failure, also when the request was carried out and only the answer was lost; without this the resource would be nobody's.
type intent struct {
	URN    string         `json:"urn"`
	Type   string         `json:"type"`
	Parent string         `json:"parent"`
	Inputs map[string]any `json:"inputs"`
}

func intentFile(dir string) string { return filepath.Join(dir, "applying.json") }

// intend writes down what is about to be created and does not exist yet: what exists is somebody else's, and never taken over.
// Values that are secret or not known yet are left out.
func (r *run) intend(ctx context.Context, p *plan) error {
	api, err := r.API()
	if err != nil {
		return err
	}
	live, known, list := &catalog{api: api, got: map[string]*listing{}}, kinds(), []intent{}
	for _, m := range p.steps {
		k, ok := known[m.Type]
		if !ok || m.New == nil || (m.Op != apitype.OpCreate && m.Op != apitype.OpCreateReplacement) {
			continue
		}
		inputs, _ := plain(m.New.Inputs).(map[string]any)
		items, err := live.list(ctx, k, inputs)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(items, func(it item) bool { return it.key == k.key(inputs) }) {
			list = append(list, intent{URN: m.URN, Type: m.Type, Parent: m.New.Parent, Inputs: inputs})
		}
	}
	raw, err := json.Marshal(list)
	if err == nil {
		err = renameio.WriteFile(intentFile(r.space.dir), raw, 0o600)
	}
	if err != nil {
		return fault.New(fault.Unavailable, "write down what is about to be created: %w", err)
	}
	return nil
}

// intended reads what an earlier run meant to create and did not report done.
func intended(dir string) ([]intent, error) {
	raw, err := os.ReadFile(intentFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []intent
	if err == nil {
		err = json.Unmarshal(raw, &list)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "read what an earlier deployment meant to create: %w", err).WithHint("delete %s", intentFile(dir))
	}
	return list, nil
}

// asResource is the state's entry for a resource that was created; false when the state does not even have its provider.
func (i intent) asResource(s *state) (resource, bool) {
	pkg, _, _ := strings.Cut(i.Type, ":")
	resources := s.resources()
	at := slices.IndexFunc(resources, func(r resource) bool { return r.kind() == "pulumi:providers:"+pkg && r["delete"] != true })
	if at < 0 {
		return nil, false
	}
	provider := resources[at]
	return resource{
		"urn": i.URN, "type": i.Type, "custom": true, "inputs": i.Inputs, "parent": i.Parent,
		"provider": provider.urn() + "::" + provider.id(),
	}, true
}

const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

// plain is v without the members that are secret or unknown.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, member := range v {
			if m, ok := member.(map[string]any); ok && m[secretMark] != nil || member == unknown {
				continue
			}
			out[key] = plain(member)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			out = append(out, plain(item))
		}
		return out
	default:
		return v
	}
}
