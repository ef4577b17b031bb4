package cfapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Module is one file of a script's bundle.
type Module struct {
	Name    string
	Type    string // media type of the part
	Content []byte
}

// ScriptUpload is all that an upload says about a script; it replaces what was there, bindings included.
type ScriptUpload struct {
	Modules []Module `json:"-"`

	MainModule         string            `json:"main_module"`
	CompatibilityDate  string            `json:"compatibility_date,omitempty"`
	CompatibilityFlags []string          `json:"compatibility_flags"`
	Bindings           []Binding         `json:"bindings"`
	KeepBindings       []string          `json:"keep_bindings,omitempty"` // binding types kept from the version before
	Migrations         *Migrations       `json:"migrations,omitempty"`
	Observability      *Observability    `json:"observability,omitempty"`
	Placement          *Placement        `json:"placement,omitempty"`
	Limits             *Limits           `json:"limits,omitempty"`
	Logpush            bool              `json:"logpush"`
	TailConsumers      []TailConsumer    `json:"tail_consumers"`
	Tags               []string          `json:"tags"`
	Annotations        map[string]string `json:"annotations,omitempty"`
}

// ScriptUploaded is the API's answer to an upload.
type ScriptUploaded struct {
	ID           string `json:"id"`
	ETag         string `json:"etag"`
	StartupMS    int    `json:"startup_time_ms"`
	MigrationTag string `json:"migration_tag"`
	DeploymentID string `json:"deployment_id"`
}

// PutScript uploads a script and sends all traffic to it. A bundle that does not start is refused with code 10021, and the version before serves on.
func (c *Client) PutScript(ctx context.Context, name string, u ScriptUpload) (ScriptUploaded, error) {
	body, contentType, err := u.multipart()
	if err != nil {
		return ScriptUploaded{}, err
	}
	var out ScriptUploaded
	_, err = c.do(ctx, call{
		doing: "upload script " + name, method: http.MethodPut, path: c.scriptPath(name, ""), body: body, contentType: contentType,
	}, &out)
	return out, err
}

// Deploy gives all of a script's traffic to a version that was uploaded before, also across a change of its secrets.
func (c *Client) Deploy(ctx context.Context, name, version, message string) error {
	_, err := c.do(ctx, call{
		doing: "deploy version " + version + " of script " + name, method: http.MethodPost, path: c.scriptPath(name, "/deployments"), query: url.Values{"force": {"true"}},
		body: map[string]any{
			"strategy": "percentage", "versions": []map[string]any{{"version_id": version, "percentage": 100}}, "annotations": map[string]string{"workers/message": message},
		},
	}, nil)
	return err
}

// DeleteScript removes a script; force also removes what refers to it. fault.NotFound when there is none.
func (c *Client) DeleteScript(ctx context.Context, name string, force bool) error {
	r := call{doing: "delete script " + name, method: http.MethodDelete, path: c.scriptPath(name, "")}
	if force {
		r.query = url.Values{"force": {"true"}}
	}
	_, err := c.do(ctx, r, nil)
	return err
}

// SetScriptSwitches turns a Worker's workers.dev name and preview URLs on and off.
func (c *Client) SetScriptSwitches(ctx context.Context, name string, s Switches) error {
	_, err := c.do(ctx, call{
		doing: "set the workers.dev switches of script " + name, method: http.MethodPost, path: c.scriptPath(name, "/subdomain"), body: s,
	}, nil)
	return err
}

func (c *Client) scriptPath(name, rest string) string {
	return "/accounts/" + url.PathEscape(c.account) + "/workers/scripts/" + url.PathEscape(name) + rest
}

func (u ScriptUpload) multipart() ([]byte, string, error) {
	metadata, err := json.Marshal(u)
	if err != nil {
		return nil, "", fault.New(fault.Internal, "encode upload metadata: %w", err)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := writePart(w, `form-data; name="metadata"`, "application/json", metadata); err != nil {
		return nil, "", err
	}
	for _, m := range u.Modules {
		if strings.ContainsAny(m.Name, "\r\n") {
			return nil, "", fault.New(fault.Invalid, "module name %q has a line break", m.Name)
		}
		name := quoteEscaper.Replace(m.Name)
		disposition := fmt.Sprintf(`form-data; name="%s"; filename="%s"`, name, name)
		if err := writePart(w, disposition, m.Type, m.Content); err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", fault.New(fault.Internal, "encode upload: %w", err)
	}
	return body.Bytes(), w.FormDataContentType(), nil
}

// quoteEscaper is mime/multipart's own, which it does not export.
var quoteEscaper = strings.NewReplacer("\\", "\\\\", `"`, "\\\"")

func writePart(w *multipart.Writer, disposition, contentType string, content []byte) error {
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}, "Content-Type": {contentType}})
	if err == nil {
		_, err = part.Write(content)
	}
	if err != nil {
		return fault.New(fault.Internal, "encode upload: %w", err)
	}
	return nil
}
