package cfapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/cognomega/edge/internal/fault"
)

// SecretNames lists the secrets of a script's newest version; nobody can read their values.
func (c *Client) SecretNames(ctx context.Context, script string) ([]string, error) {
	var found []struct {
		Name string `json:"name"`
	}
	_, err := c.do(ctx, call{doing: "list the secrets of script " + script, method: http.MethodGet, path: c.scriptPath(script, "/secrets")}, &found)
	names := make([]string, 0, len(found))
	for _, s := range found {
		names = append(names, s.Name)
	}
	return names, err
}

// PatchSecrets sets all of the secrets or none, in one new version of the script that serves at once. Others stay as they are.
// It is refused with code 10215 while the newest version is not the deployed one.
func (c *Client) PatchSecrets(ctx context.Context, script string, values map[string]string) error {
	type secret struct {
		Name string `json:"name"`
		Text string `json:"text"`
		Type string `json:"type"`
	}
	secrets := make(map[string]secret, len(values))
	for name, text := range values {
		secrets[name] = secret{name, text, "secret_text"}
	}
	body, err := json.Marshal(map[string]any{"secrets": secrets})
	if err != nil {
		return fault.New(fault.Internal, "encode the secrets of script %s", script) // the encoder's words could quote a value
	}
	_, err = c.do(ctx, call{
		doing: "set secrets of script " + script, method: http.MethodPatch, path: c.scriptPath(script, "/secrets-bulk"),
		body: body, contentType: "application/merge-patch+json",
	}, nil)
	return err
}
