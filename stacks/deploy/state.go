package deploy

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/cognomega/edge/internal/fault"
)

// state is the engine's record of a stack, kept generic so that nothing in it is lost on the way through.
type state struct {
	doc     map[string]any
	changed bool
}

// resource is one entry of the state.
type resource map[string]any

func (r resource) urn() string             { return text(r["urn"]) }
func (r resource) kind() string            { return text(r["type"]) }
func (r resource) id() string              { return text(r["id"]) }
func (r resource) inputs() map[string]any  { return object(r["inputs"]) }
func (r resource) outputs() map[string]any { return object(r["outputs"]) }

func text(v any) string { s, _ := v.(string); return s }

func object(v any) map[string]any { m, _ := v.(map[string]any); return m }

// exportState reads the state without decrypting it: secrets stay the ciphertext they are.
func (w *workspaceDir) exportState(ctx context.Context) (*state, error) {
	raw, err := w.cli(ctx, "", "stack", "export")
	if err != nil {
		return nil, err
	}
	s := &state{}
	if err := json.Unmarshal([]byte(raw), &s.doc); err != nil {
		return nil, fault.New(fault.Unavailable, "read the state of the stack: %w", err)
	}
	return s, nil
}

func (w *workspaceDir) importState(ctx context.Context, s *state) error {
	raw, err := json.Marshal(s.doc)
	if err != nil {
		return fault.New(fault.Internal, "encode the state: %w", err)
	}
	_, err = w.cli(ctx, string(raw), "stack", "import")
	return err
}

func (s *state) deployment() map[string]any { return object(s.doc["deployment"]) }

func (s *state) list(key string) []resource {
	items, _ := s.deployment()[key].([]any)
	out := make([]resource, 0, len(items))
	for _, item := range items {
		out = append(out, resource(object(item)))
	}
	return out
}

func (s *state) resources() []resource { return s.list("resources") }

func (s *state) setResources(list []resource) {
	items := make([]any, 0, len(list))
	for _, r := range list {
		items = append(items, map[string]any(r))
	}
	if d := s.deployment(); d != nil {
		d["resources"] = items
	}
	s.changed = true
}

// pending are the operations that the engine had begun and not ended when it died.
func (s *state) pending() []resource { return s.list("pending_operations") }

func (s *state) clearPending() {
	if len(s.pending()) > 0 {
		delete(s.deployment(), "pending_operations")
		s.changed = true
	}
}

// remove takes entries out, and every mention of what is then no longer there.
func (s *state) remove(gone func(resource) bool) {
	kept := slices.DeleteFunc(s.resources(), gone)
	here := map[string]bool{}
	for _, r := range kept {
		here[r.urn()] = true
	}
	for _, r := range kept {
		r.forget(here)
	}
	s.setResources(kept)
}

func (r resource) forget(here map[string]bool) {
	if deps, ok := r["dependencies"].([]any); ok {
		r["dependencies"] = present(deps, here)
	}
	for key, deps := range object(r["propertyDependencies"]) {
		if list, ok := deps.([]any); ok {
			object(r["propertyDependencies"])[key] = present(list, here)
		}
	}
	if with := text(r["deletedWith"]); with != "" && !here[with] {
		delete(r, "deletedWith")
	}
}

func present(urns []any, here map[string]bool) []any {
	return slices.DeleteFunc(slices.Clone(urns), func(u any) bool { return !here[text(u)] })
}

// unprotect lifts the protection in this copy of the state: the engine goes by what is recorded, not by what is declared now.
func (s *state) unprotect() {
	for _, res := range s.resources() {
		if res["protect"] == true {
			delete(res, "protect")
			s.changed = true
		}
	}
}

// force lets the scripts that gone picks be deleted together with their Durable Objects, which the policies have agreed to by now.
func (s *state) force(gone func(urn string) bool) {
	for _, res := range s.resources() {
		if res.kind() == "cognomega:index:WorkerScript" && gone(res.urn()) && res.outputs() != nil {
			res.outputs()["forceDestroy"] = true
			s.changed = true
		}
	}
}

// outputs are what the program exported last; secrets stay hidden.
func (s *state) outputs() map[string]any {
	for _, r := range s.resources() {
		if r.kind() == "pulumi:pulumi:Stack" {
			return hideSecrets(r.outputs())
		}
	}
	return nil
}

// secretMark is the engine's own: an object with this key is an encrypted value.
const secretMark = "4dabf18193072939515e22adb298388d"

const hidden = "[secret]"

func hideSecrets(m map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range m {
		out[key] = hideSecret(v)
	}
	return out
}

func hideSecret(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v[secretMark]; ok {
			return hidden
		}
		return hideSecrets(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = hideSecret(item)
		}
		return out
	default:
		return v
	}
}
