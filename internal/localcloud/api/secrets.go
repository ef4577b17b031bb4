package api

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// secretView never has the text.
type secretView struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type secretRequest struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Type string `json:"type"`
}

func isSecret(b store.Binding) bool { return b.Type == "secret_text" || b.Type == "secret_key" }

func (s *server) listSecrets(c *call) (any, error) {
	cur, err := s.current(c.param("script"))
	views := []secretView{}
	if v := cur.newest(); v != nil {
		for _, b := range v.Bindings {
			if isSecret(b) {
				views = append(views, secretView{b.Name, b.Type})
			}
		}
	}
	return views, err
}

// secretName undoes the client's own escaping, which url_encoded=true announces.
func secretName(c *call) string {
	name := c.param("secret")
	if c.flag("url_encoded") {
		if plain, err := url.PathUnescape(name); err == nil {
			return plain
		}
	}
	return name
}

func noSecret(name string) *apiError { return missing(10056, "Binding '%s' not found.", name) }

func (s *server) getSecret(c *call) (any, error) {
	cur, err := s.current(c.param("script"))
	if err != nil {
		return nil, err
	}
	if v := cur.newest(); v != nil {
		for _, b := range v.Bindings {
			if isSecret(b) && b.Name == secretName(c) {
				return secretView{b.Name, b.Type}, nil
			}
		}
	}
	return nil, noSecret(secretName(c))
}

func (s *server) putSecret(c *call) (any, error) {
	var req secretRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	binding, err := req.binding()
	if err != nil {
		return nil, err
	}
	err = s.changeSecrets(c, func(bindings []store.Binding) ([]store.Binding, error) { return putBinding(bindings, binding) })
	return secretView{binding.Name, binding.Type}, err
}

func (q secretRequest) binding() (store.Binding, error) {
	if q.Type == "" {
		q.Type = "secret_text"
	}
	if q.Name == "" || q.Type != "secret_text" {
		return store.Binding{}, bad(10026, "a secret needs a name and the type secret_text")
	}
	return store.Binding{Name: q.Name, Type: q.Type, Text: q.Text}, nil
}

// putBinding replaces a secret of that name and refuses to replace anything else.
func putBinding(bindings []store.Binding, b store.Binding) ([]store.Binding, error) {
	at := slices.IndexFunc(bindings, func(o store.Binding) bool { return o.Name == b.Name })
	if at < 0 {
		return append(bindings, b), nil
	}
	if !isSecret(bindings[at]) {
		return nil, bad(10053, "Binding name '%s' already in use. Please use a different name and try again.", b.Name)
	}
	bindings[at] = b
	return bindings, nil
}

func dropSecret(bindings []store.Binding, name string) ([]store.Binding, error) {
	at := slices.IndexFunc(bindings, func(o store.Binding) bool { return o.Name == name && isSecret(o) })
	if at < 0 {
		return nil, noSecret(name)
	}
	return slices.Delete(bindings, at, at+1), nil
}

// changeSecrets makes a version with other secrets and deploys it at once, as Cloudflare does.
func (s *server) changeSecrets(c *call, change func([]store.Binding) ([]store.Binding, error)) error {
	_, err := s.revise(c, func(_ *store.Tx, d *draft) (err error) {
		if !d.servesNewest() {
			return bad(10215, "Secret edit failed. You attempted to modify a secret, but the latest version of your Worker isn't currently deployed.")
		}
		d.version.Annotations = map[string]string{"workers/triggered_by": "secret"}
		d.version.Bindings, err = change(slices.Clone(d.version.Bindings))
		return err
	})
	return err
}

func (s *server) deleteSecret(c *call) (any, error) {
	return nil, s.changeSecrets(c, func(bindings []store.Binding) ([]store.Binding, error) { return dropSecret(bindings, secretName(c)) })
}

// patchSecrets is a merge patch: a null deletes.
func (s *server) patchSecrets(c *call) (any, error) {
	var req struct {
		Secrets map[string]*json.RawMessage `json:"secrets"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	err := s.changeSecrets(c, func(bindings []store.Binding) (_ []store.Binding, err error) {
		for _, name := range slices.Sorted(maps.Keys(req.Secrets)) {
			if bindings, err = patchSecret(bindings, name, req.Secrets[name]); err != nil {
				return nil, err
			}
		}
		return bindings, nil
	})
	if err != nil {
		return nil, err
	}
	return s.listSecrets(c)
}

func patchSecret(bindings []store.Binding, name string, value *json.RawMessage) ([]store.Binding, error) {
	if value == nil {
		return dropSecret(bindings, name)
	}
	req := secretRequest{Name: name}
	if err := decodeJSON(10026, *value, &req); err != nil {
		return nil, err
	}
	if req.Name != name {
		return nil, bad(10026, "secret %q is given under the name %q", req.Name, name)
	}
	b, err := req.binding()
	if err != nil {
		return nil, err
	}
	return putBinding(bindings, b)
}
