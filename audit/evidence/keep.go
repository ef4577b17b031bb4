package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

// Origin is what all proofs of one run share.
type Origin struct {
	Tool     string // version of cogctl
	At       time.Time
	Subjects []Subject
	Signer   Signer
}

// Keep signs the proof of a result and writes it into dir; the file appears whole or not at all, and takes no other's place. What its own evidence does not
// bear out is not signed.
func Keep(ctx context.Context, dir string, c audit.Check, t *audit.Target, o Origin, r audit.Result) (string, error) {
	s, err := newStatement(c, t, o, r)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(s)
	if err != nil {
		return "", fault.New(fault.Internal, "encode the proof of %s: %w", c.Name, err)
	}
	if scrubbed := audit.Scrub(payload); !bytes.Equal(scrubbed, payload) {
		return "", fault.New(fault.Internal, "the proof of %s would hold a credential", c.Name)
	}
	if s, err = parseStatement(payload); err == nil {
		err = s.follows(t.Contract, []audit.Check{c})
	}
	if err != nil {
		return "", fault.New(fault.Internal, "the evidence of %s does not bear out its result: %w", c.Name, err)
	}
	raw, err := seal(ctx, o.Signer, payload)
	if err != nil {
		return "", err
	}
	return writeNew(filepath.Join(dir, s.Predicate.FileName()), raw, 0o644)
}
