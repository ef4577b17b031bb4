package cfapi

import (
	"context"
	"net/http"
)

// ScriptState is what a script is set to, in the API's own shape: unlike ScriptSettings it also holds what this program has no name for.
type ScriptState struct {
	Bindings           []Fields `json:"bindings"`
	CompatibilityDate  string   `json:"compatibility_date"`
	CompatibilityFlags []string `json:"compatibility_flags"`
	MigrationTag       string   `json:"migration_tag"`
	Placement          Fields   `json:"placement"`
	Limits             Fields   `json:"limits"`
	Observability      Fields   `json:"observability"`
	Logpush            bool     `json:"logpush"`
	TailConsumers      []Fields `json:"tail_consumers"`
	Tags               []string `json:"tags"`
}

// ScriptState reads a script's settings whole; fault.NotFound when there is no such script.
func (c *Client) ScriptState(ctx context.Context, name string) (ScriptState, error) {
	var out ScriptState
	_, err := c.do(ctx, call{doing: "read settings of script " + name, method: http.MethodGet, path: c.scriptPath(name, "/settings")}, &out)
	return out, err
}

// Schedules lists a script's cron expressions.
func (c *Client) Schedules(ctx context.Context, name string) ([]string, error) {
	var out struct {
		Schedules []struct {
			Cron string `json:"cron"`
		} `json:"schedules"`
	}
	_, err := c.do(ctx, call{doing: "read cron triggers of script " + name, method: http.MethodGet, path: c.scriptPath(name, "/schedules")}, &out)
	crons := make([]string, 0, len(out.Schedules))
	for _, s := range out.Schedules {
		crons = append(crons, s.Cron)
	}
	return crons, err
}
