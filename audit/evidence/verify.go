package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Verifier is what a proof is believed by: keys, the checks that judge, and the contract they judge against.
type Verifier struct {
	Ring     Ring
	Checks   []audit.Check
	Contract *contract.Contract
}

// Verified is a proof that holds: who signed it and what it says. Its verdict may still be that something failed.
type Verified struct {
	Key       Key
	Statement Statement
	Payload   []byte // the statement as it was signed
}

// Verify judges a proof's file without asking anybody. It is an error, by kind:
// Invalid, not a proof; TooLarge; Unauthenticated, signed by an unknown key; Denied, changed or not borne out by its own
// evidence; Inconclusive, made under another contract, so that the signature is good and the verdict is not known.
func (v Verifier) Verify(ctx context.Context, raw []byte) (Verified, error) {
	payload, key, err := open(ctx, raw, v.Ring)
	if err != nil {
		return Verified{}, err
	}
	s, err := parseStatement(payload)
	if err != nil {
		return Verified{}, err
	}
	out := Verified{Key: key, Statement: s, Payload: payload}
	return out, s.follows(v.Contract, v.Checks)
}

// follows judges the evidence again and compares: everything the statement says must come out of it.
func (s Statement) follows(c *contract.Contract, checks []audit.Check) error {
	p := s.Predicate
	if err := s.about(); err != nil {
		return err
	}
	if p.Contract != c.Digest() {
		return fault.New(fault.Inconclusive, "made under contract %.12s, this is %.12s: the signature is good, the verdict cannot be derived", p.Contract, c.Digest()).
			WithHint("check out the commit it was made at and say cogctl verify --contract contract")
	}
	i := slices.IndexFunc(checks, func(c audit.Check) bool { return c.Name == p.Check })
	if i < 0 {
		return fault.New(fault.Invalid, "not a proof this cogctl can judge: it knows no check %.40q", p.Check)
	}
	if p.Form != checks[i].Form {
		return fault.New(fault.Invalid, "not a proof this cogctl can judge: the evidence of %s has form %d, this one judges form %d", p.Check, p.Form, checks[i].Form).
			WithHint("use the cogctl that made it: %s", p.Tool)
	}
	if p.Title != checks[i].Title {
		return fault.New(fault.Denied, "it says of check %s that %q, which is not what the check is about", p.Check, p.Title)
	}
	t, err := p.target(c)
	if err != nil {
		return err
	}
	again, err := checks[i].Judge(t, p.Result.Evidence)
	if err != nil {
		return err
	}
	derived, err := written(again)
	if err != nil {
		return err
	}
	return p.Result.same(derived)
}

// about sees that the subjects can be meant: the contract first, then every version once, each with a digest.
func (s Statement) about() error {
	if len(s.Subject) == 0 || !equalJSON(s.Subject[0], contractSubject(s.Predicate.Contract)) {
		return fault.New(fault.Denied, "its first subject is not the contract it names")
	}
	seen := map[string]bool{}
	for _, subject := range s.Subject {
		id := subject.Name + " " + subject.Annotations["version_id"]
		if len(subject.Digest) == 0 || seen[id] {
			return fault.New(fault.Denied, "subject %q has no digest, or is there twice", subject.Name)
		}
		seen[id] = true
	}
	return nil
}

// same compares what a proof says with what its evidence gives, and names the first difference people would ask for.
func (r Result) same(derived Result) error {
	switch {
	case r.Verdict != derived.Verdict:
		because := ""
		if len(derived.Findings) > 0 {
			f := derived.Findings[0]
			because = ": " + f.Code + " at " + f.URL + ": " + f.Message
		}
		return fault.New(fault.Denied, "it says %s, its own evidence says %s%s", r.Verdict, derived.Verdict, because)
	case !equalJSON(r.Findings, derived.Findings):
		return fault.New(fault.Denied, "its findings are not those of its evidence: %d said, %d derived", len(r.Findings), len(derived.Findings))
	case r.Summary != derived.Summary:
		return fault.New(fault.Denied, "its summary %q is not that of its evidence, %q", r.Summary, derived.Summary)
	case !equalJSON(r.Evidence, derived.Evidence):
		return fault.New(fault.Denied, "its evidence contradicts itself")
	}
	return nil
}

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
