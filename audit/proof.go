package audit

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// ProofSchema names the format of a proof file.
const ProofSchema = "cogctl/proof/v1"

// Proof is a result with all that is needed to judge it later: when, where, by which program, against which contract.
type Proof struct {
	Schema   string    `json:"schema"`
	Check    string    `json:"check"`
	Title    string    `json:"title"`
	At       time.Time `json:"at"`
	Tool     string    `json:"tool"`
	Contract string    `json:"contract_sha256"`
	Env      string    `json:"env"`
	Hostname string    `json:"hostname"`
	Account  string    `json:"account_id"`
	Result
}

// NewProof makes the proof of a result.
func NewProof(c Check, t *Target, tool string, at time.Time, r Result) Proof {
	return Proof{
		Schema: ProofSchema, Check: c.Name, Title: c.Title, At: at.UTC().Truncate(time.Second), Tool: "cogctl " + tool,
		Contract: t.Contract.Digest(), Env: t.Env, Hostname: t.Hostname, Account: t.AccountID, Result: r,
	}
}

// FileName is where a proof is kept: time first, so that a listing is a history.
func (p Proof) FileName() string {
	return p.At.Format("2006-01-02T15-04-05Z") + "-" + p.Env + "-" + p.Check + ".json"
}

// Write keeps the proof in dir and returns its path. The file appears whole or not at all.
func (p Proof) Write(dir string) (string, error) {
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return "", fault.New(fault.Internal, "encode the proof of %s: %w", p.Check, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fault.New(fault.Unavailable, "create the proofs folder: %w", err)
	}
	path := filepath.Join(dir, p.FileName())
	return path, writeWhole(path, append(Scrub(raw), '\n'))
}

func writeWhole(path string, raw []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".proof-*")
	if err != nil {
		return fault.New(fault.Unavailable, "write %s: %w", path, err)
	}
	_, err = tmp.Write(raw)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fault.New(fault.Unavailable, "write %s: %w", path, err)
	}
	return nil
}

// secretShapes are texts that must never reach a file, whatever brought them there. The signature of a token is what makes
// it usable, so its header and claims may stay.
var secretShapes = []struct {
	shape *regexp.Regexp
	with  string
}{
	{regexp.MustCompile(`(eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,})\.[A-Za-z0-9_-]{8,}`), "$1.[scrubbed]"},
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----`), "[scrubbed private key]"},
	{regexp.MustCompile(`(?i)(bearer )[A-Za-z0-9_\-.~+/=]{16,}`), "$1[scrubbed]"},
	{regexp.MustCompile(`(?i)("(?:x-admin-key|x-admin-token|cf-access-client-secret|set-cookie|cookie)"\s*:\s*)(?:"[^"]*"|\[[^\]]*\])`), `$1"[scrubbed]"`},
}

// Scrub takes credentials out of a text.
func Scrub(raw []byte) []byte {
	for _, s := range secretShapes {
		raw = s.shape.ReplaceAll(raw, []byte(s.with))
	}
	return raw
}

// ScrubText is Scrub for a string.
func ScrubText(s string) string { return strings.Clone(string(Scrub([]byte(s)))) }
