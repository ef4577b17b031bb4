package cfapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Binding is a binding in the API's own shape; the type decides which fields are set.
type Binding struct {
	Name        string          `json:"name"`
	Type        string          `json:"type"`
	NamespaceID string          `json:"namespace_id,omitempty"` // kv_namespace, durable_object_namespace (answers only), ratelimit
	BucketName  string          `json:"bucket_name,omitempty"`  // r2_bucket
	QueueName   string          `json:"queue_name,omitempty"`   // queue
	Service     string          `json:"service,omitempty"`      // service
	Environment string          `json:"environment,omitempty"`  // service
	Entrypoint  string          `json:"entrypoint,omitempty"`   // service
	ClassName   string          `json:"class_name,omitempty"`   // durable_object_namespace
	ScriptName  string          `json:"script_name,omitempty"`  // durable_object_namespace
	ID          string          `json:"id,omitempty"`           // hyperdrive
	Dataset     string          `json:"dataset,omitempty"`      // analytics_engine
	Text        *string         `json:"text,omitempty"`         // plain_text, secret_text; a secret's is never given out
	JSON        json.RawMessage `json:"json,omitempty"`         // json
	Simple      *RateLimit      `json:"simple,omitempty"`       // ratelimit
	VersionID   string          `json:"version_id,omitempty"`   // inherit: from this version, not the newest
}

// RateLimit allows Limit calls in Period seconds.
type RateLimit struct {
	Limit  int `json:"limit"`
	Period int `json:"period"`
}

// Observability is a script's Workers Logs setting.
type Observability struct {
	Enabled          bool               `json:"enabled"`
	HeadSamplingRate *float64           `json:"head_sampling_rate,omitempty"`
	Logs             *ObservabilityLogs `json:"logs,omitempty"`
}

// ObservabilityLogs says which logs are kept.
type ObservabilityLogs struct {
	Enabled          bool     `json:"enabled"`
	HeadSamplingRate *float64 `json:"head_sampling_rate,omitempty"`
	InvocationLogs   bool     `json:"invocation_logs"`
}

// Placement decides where a script runs; mode "smart" is near its back ends.
type Placement struct {
	Mode string `json:"mode,omitempty"`
}

// Limits bound what one invocation may use.
type Limits struct {
	CPUMS int `json:"cpu_ms,omitempty"`
}

// TailConsumer receives a script's traces.
type TailConsumer struct {
	Service     string `json:"service"`
	Environment string `json:"environment,omitempty"`
}

// ScriptSettings are what the newest version of a script and the script itself are set to.
type ScriptSettings struct {
	Bindings           []Binding      `json:"bindings"`
	CompatibilityDate  string         `json:"compatibility_date"`
	CompatibilityFlags []string       `json:"compatibility_flags"`
	MigrationTag       string         `json:"migration_tag"`
	Placement          *Placement     `json:"placement"`
	Limits             *Limits        `json:"limits"`
	Observability      *Observability `json:"observability"`
	Logpush            bool           `json:"logpush"`
	TailConsumers      []TailConsumer `json:"tail_consumers"`
	Tags               []string       `json:"tags"`
}

// Deployment says which versions of a script serve, and how much each.
type Deployment struct {
	ID          string            `json:"id"`
	CreatedOn   time.Time         `json:"created_on"`
	Source      string            `json:"source"`
	Annotations map[string]string `json:"annotations"`
	Versions    []VersionShare    `json:"versions"`
}

// VersionShare is a version's part of a deployment, in percent.
type VersionShare struct {
	VersionID  string  `json:"version_id"`
	Percentage float64 `json:"percentage"`
}

// Version is one immutable upload of a script.
type Version struct {
	ID          string            `json:"id"`
	Number      int               `json:"number"`
	Annotations map[string]string `json:"annotations"`
	StartupMS   int               `json:"startup_time_ms"`
	Resources   struct {
		Bindings []Binding `json:"bindings"`
		Script   struct {
			ETag     string   `json:"etag"`
			Handlers []string `json:"handlers"`
		} `json:"script"`
		Runtime struct {
			CompatibilityDate  string   `json:"compatibility_date"`
			CompatibilityFlags []string `json:"compatibility_flags"`
			MigrationTag       string   `json:"migration_tag"`
			Limits             *Limits  `json:"limits"`
		} `json:"script_runtime"`
	} `json:"resources"`
}

// ScriptSettings reads a script's settings with its bindings; fault.NotFound when there is no such script.
func (c *Client) ScriptSettings(ctx context.Context, name string) (ScriptSettings, error) {
	var out ScriptSettings
	_, err := c.do(ctx, call{doing: "read settings of script " + name, method: http.MethodGet, path: c.scriptPath(name, "/settings")}, &out)
	return out, err
}

// Deployments lists a script's deployments, the one that serves first.
func (c *Client) Deployments(ctx context.Context, name string) ([]Deployment, error) {
	var out struct {
		Deployments []Deployment `json:"deployments"`
	}
	_, err := c.do(ctx, call{doing: "list deployments of script " + name, method: http.MethodGet, path: c.scriptPath(name, "/deployments")}, &out)
	return out.Deployments, err
}

// Version reads one version of a script.
func (c *Client) Version(ctx context.Context, name, id string) (Version, error) {
	var out Version
	_, err := c.do(ctx, call{
		doing: "read version " + id + " of script " + name, method: http.MethodGet, path: c.scriptPath(name, "/versions/"+url.PathEscape(id)),
	}, &out)
	return out, err
}

// Versions lists a script's newest versions, the newest first, without their resources; fault.NotFound when there is no such script.
func (c *Client) Versions(ctx context.Context, name string) ([]Version, error) {
	var out struct {
		Items []Version `json:"items"`
	}
	_, err := c.do(ctx, call{
		doing: "list versions of script " + name, method: http.MethodGet, path: c.scriptPath(name, "/versions"), query: url.Values{"per_page": {"100"}},
	}, &out)
	return out.Items, err
}
