package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/internal/fault"
)

// evidenceKeyEnv gives a private key to machines that must not keep one, such as CI.
const evidenceKeyEnv = "COGCTL_EVIDENCE_KEY"

// vault is the folder of this machine's evidence keys.
func (d *Deps) vault() evidence.Vault {
	dir := d.LocalDir
	if l, err := d.layout(); err == nil {
		dir = l.Local
	} else if dir == "" {
		dir = filepath.Join(d.WorkDir, ".local")
	}
	return evidence.Vault{Dir: filepath.Join(dir, "evidence")}
}

// signer is the key of the environment when it gives one, which is never written anywhere; else this machine's, made on first use.
func (d *Deps) signer() (evidence.Signer, error) {
	if text := d.Getenv(evidenceKeyEnv); text != "" {
		return environmentSigner(text)
	}
	s, _, err := d.vault().Ensure()
	return s, err
}

func environmentSigner(text string) (evidence.Signer, error) {
	s, err := evidence.ParseSigner([]byte(text))
	if err != nil {
		return s, fault.New(fault.Invalid, "%s: %w", evidenceKeyEnv, err)
	}
	return s, nil
}

// current is the signing key that would be used, without making one; false when there is none.
func (d *Deps) current() (evidence.Signer, bool, error) {
	if text := d.Getenv(evidenceKeyEnv); text != "" {
		s, err := environmentSigner(text)
		return s, err == nil, err
	}
	s, err := d.vault().Signer()
	if errors.Is(err, fault.NotFound) {
		return s, false, nil
	}
	return s, err == nil, err
}

// ring is the trusted keys, and the own signing key: whoever holds the private half can make what it signs anyway.
func (d *Deps) ring() (evidence.Ring, error) {
	ring, err := d.vault().Ring()
	if err != nil {
		return nil, err
	}
	own, ok, err := d.current()
	if err != nil {
		return nil, err
	}
	if _, known := ring[own.ID]; ok && !known {
		ring[own.ID] = own.Key
	}
	return ring, nil
}

// origin is what the proofs of this run will be signed with, and which bundles serve before it.
func (d *Deps) origin(ctx context.Context, t *audit.Target, keep bool) (o evidence.Origin, err error) {
	if !keep {
		return o, nil
	}
	o.Tool = d.Version
	if o.Signer, err = d.signer(); err != nil {
		return o, err
	}
	o.Subjects, err = evidence.Deployed(ctx, t)
	return o, err
}

// keep signs and writes the proof of every check that could look.
func (r *provePhase0Result) keep(ctx context.Context, d *Deps, t *audit.Target, checks []audit.Check, results []audit.Result, o evidence.Origin) error {
	after, err := evidence.Deployed(ctx, t)
	if err != nil {
		return err
	}
	if err := evidence.Unmoved(o.Subjects, after); err != nil {
		return err
	}
	o.At = d.now()
	for i, c := range checks {
		if r.Checks[i].err != nil {
			continue
		}
		path, err := evidence.Keep(ctx, d.proofs(), c, t, o, results[i])
		if err != nil {
			return err
		}
		r.Checks[i].Proof = relative(path)
	}
	return nil
}

// proofs is where COGCTL_PROOFS_DIR says, else the checkout's proofs folder, or one here when this is no checkout.
func (d *Deps) proofs() string {
	if dir := d.Getenv("COGCTL_PROOFS_DIR"); dir != "" {
		return dir
	}
	if l, err := d.layout(); err == nil {
		return l.Proofs
	}
	return filepath.Join(d.WorkDir, "proofs")
}

// inputLimit is above every file that is read whole.
const inputLimit = 64<<20 + 1

// read reads a file, or stdin for "-".
func (d *Deps) read(file string) ([]byte, error) {
	in := d.Term.In()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fault.New(fault.Invalid, "read %s: %w", file, unpath(err))
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, inputLimit))
	if err != nil {
		return nil, fault.New(fault.Invalid, "read %s: %w", file, unpath(err))
	}
	return raw, nil
}

// unpath leaves out the path that the message names already.
func unpath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
