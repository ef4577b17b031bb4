package localcloud

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cognomega/edge/internal/fault"
)

// EndpointsSchema names the format of endpoints.json.
const EndpointsSchema = "cogctl/local.endpoints/v1"

// Endpoints is how to reach a running local cloud; it is written to endpoints.json while it serves.
type Endpoints struct {
	Schema      string    `json:"schema"`
	PID         int       `json:"pid"`
	AccountID   string    `json:"account_id"`
	AccountName string    `json:"account_name"`
	Zones       []Zone    `json:"zones"`
	APIHTTP     string    `json:"api_http"`
	APIHTTPS    string    `json:"api_https"`
	EdgeHTTP    string    `json:"edge_http"`
	EdgeHTTPS   string    `json:"edge_https"`
	Control     string    `json:"control"`
	CAFile      string    `json:"ca_file"`
	TokenFile   string    `json:"token_file"`
	StartedAt   time.Time `json:"started_at"`
}

func endpointsPath(dir string) string { return filepath.Join(dir, "endpoints.json") }

// ReadEndpoints reads what a serving local cloud wrote; fault.NotFound when none serves from dir.
func ReadEndpoints(dir string) (Endpoints, error) {
	raw, err := os.ReadFile(endpointsPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return Endpoints{}, fault.New(fault.NotFound, "no local cloud is running on %s", dir).WithHint("cogctl local start")
	}
	if err != nil {
		return Endpoints{}, fault.New(fault.Unavailable, "read endpoints of the local cloud: %w", err)
	}
	var e Endpoints
	if err := json.Unmarshal(raw, &e); err != nil || e.Schema != EndpointsSchema {
		return Endpoints{}, fault.New(fault.Invalid, "%s is not a %s file", endpointsPath(dir), EndpointsSchema).WithHint("cogctl local stop && cogctl local start")
	}
	return e, nil
}

// write replaces endpoints.json in one step, so that a reader never sees half of it.
func (e Endpoints) write(dir string) error {
	raw, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fault.New(fault.Internal, "encode endpoints: %w", err)
	}
	return writeFile(endpointsPath(dir), append(raw, '\n'))
}

// writeFile writes owner-only bytes beside the target, then renames over it.
func writeFile(path string, data []byte) error {
	if err := renameio.WriteFile(path, data, 0o600); err != nil {
		return fault.New(fault.Unavailable, "write %s: %w", path, err)
	}
	return nil
}

// Token reads the account's API token from its owner-only file.
func (e Endpoints) Token() (string, error) {
	raw, err := os.ReadFile(e.TokenFile)
	if err != nil {
		return "", fault.New(fault.Unavailable, "read the local API token: %w", err)
	}
	return string(raw), nil
}

// Sweep removes what a killed local cloud left of its serving: where it listened, its sockets and configurations. Nobody may serve from dir.
func Sweep(dir string) error {
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "run")), os.RemoveAll(endpointsPath(dir))); err != nil {
		return fault.New(fault.Unavailable, "tidy up after a killed local cloud: %w", err)
	}
	return nil
}
