package evidence

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// The two names that make a payload a proof of ours. A new form of predicate gets a new name.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://cognomega.com/cogctl/proof/v2"
)

// Statement is an in-toto statement (github.com/in-toto/attestation, spec v1). The types are written out here because a
// protobuf Struct would read every number of the evidence as a float.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Predicate `json:"predicate"`
}

// Subject is something that a proof is about, by digest.
type Subject struct {
	Name        string            `json:"name"`
	Digest      map[string]string `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Predicate is a result with all that is needed to judge it again: when, where, by which program, from what.
type Predicate struct {
	Check    string    `json:"check"`
	Title    string    `json:"title"`
	Form     int       `json:"form"` // of the check's evidence
	At       time.Time `json:"at"`
	Tool     string    `json:"tool"`
	Contract string    `json:"contract_sha256"`
	Where    Where     `json:"environment"`
	Result   Result    `json:"result"`
}

// Where is the environment that was looked at.
type Where struct {
	Name      string `json:"name"`
	Stack     string `json:"stack"`
	AccountID string `json:"account_id"`
	Hostname  string `json:"hostname"`
	URL       string `json:"url"` // of the hostname, with the port when it is on this machine
}

// Result is audit.Result with the evidence as it was written.
type Result struct {
	Verdict  audit.Verdict   `json:"verdict"`
	Summary  string          `json:"summary"`
	Findings []audit.Finding `json:"findings"`
	Evidence json.RawMessage `json:"evidence"`
}

// project is the Pulumi project whose stacks are the environments.
const project = "cognomega"

func newStatement(c audit.Check, t *audit.Target, o Origin, r audit.Result) (Statement, error) {
	kept, err := written(r)
	return Statement{
		Type: StatementType, PredicateType: PredicateType, Subject: append([]Subject{contractSubject(t.Contract.Digest())}, o.Subjects...),
		Predicate: Predicate{
			Check: c.Name, Title: c.Title, Form: c.Form, At: o.At.UTC().Truncate(time.Second), Tool: "cogctl " + o.Tool, Contract: t.Contract.Digest(),
			Where:  Where{Name: t.Env, Stack: project + "/" + t.Env, AccountID: t.AccountID, Hostname: t.Hostname, URL: t.PublicURL("")},
			Result: kept,
		},
	}, err
}

func contractSubject(digest string) Subject {
	return Subject{Name: "contract", Digest: map[string]string{"sha256": digest}}
}

// written is a result in the form that is compared: scrubbed, and as JSON has it.
func written(r audit.Result) (Result, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return Result{}, fault.New(fault.Internal, "encode a result: %w", err)
	}
	var kept Result
	if err := json.Unmarshal(audit.Scrub(raw), &kept); err != nil {
		return Result{}, fault.New(fault.Internal, "encode a result: %w", err)
	}
	return kept, nil
}

// parseStatement reads a payload strictly. What is no statement, or of another schema, is fault.Invalid.
func parseStatement(payload []byte) (Statement, error) {
	var head struct {
		Type          string `json:"_type"`
		PredicateType string `json:"predicateType"`
	}
	if err := json.Unmarshal(payload, &head); err != nil {
		return Statement{}, fault.New(fault.Invalid, "not a proof: the payload is not JSON")
	}
	if head.Type != StatementType || head.PredicateType != PredicateType {
		return Statement{}, fault.New(fault.Invalid, "not a proof this cogctl can judge: a statement of %.80q with a predicate of %.80q", head.Type, head.PredicateType).
			WithHint("this one judges %s; use the cogctl that made it", PredicateType)
	}
	var s Statement
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fault.New(fault.Invalid, "not a proof: the statement cannot be read: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return s, fault.New(fault.Invalid, "not a proof: something follows the statement")
	}
	if again, err := json.Marshal(s); err != nil || !bytes.Equal(again, payload) {
		return s, fault.New(fault.Denied, "the statement is not in the form that cogctl writes")
	}
	return s, nil
}

// FileName is where a proof is kept: time first, so that a listing is a history.
func (p Predicate) FileName() string {
	return p.At.Format("2006-01-02T15-04-05Z") + "-" + p.Where.Name + "-" + p.Check + ".json"
}

// target is what the contract says of the environment that the predicate names; nothing in it answers.
func (p Predicate) target(c *contract.Contract) (*audit.Target, error) {
	env, ok := c.Envs[p.Where.Name]
	if !ok {
		return nil, fault.New(fault.Denied, "the contract has no environment %q", p.Where.Name)
	}
	base, err := url.Parse(p.Where.URL)
	t := &audit.Target{
		Env: p.Where.Name, Hostname: env.Hostname, Issuer: env.Issuer, Origins: env.Origins, BaseURL: base, AccountID: p.Where.AccountID,
		ZoneName: env.Zone, Contract: c, Now: func() time.Time { return p.At },
	}
	switch {
	case err != nil || base.Scheme != "https" || base.Hostname() != env.Hostname || t.PublicURL("") != p.Where.URL || p.Where.Hostname != env.Hostname:
		return nil, fault.New(fault.Denied, "it is about %s at %.80q, and environment %s is %s", p.Where.Hostname, p.Where.URL, p.Where.Name, env.Hostname)
	case p.Where.Stack != project+"/"+p.Where.Name:
		return nil, fault.New(fault.Denied, "it is about stack %.80q, and environment %s is %s/%[2]s", p.Where.Stack, p.Where.Name, project)
	case env.AccountID != "" && env.AccountID != p.Where.AccountID:
		return nil, fault.New(fault.Denied, "it is about account %s, and environment %s is in %s", p.Where.AccountID, p.Where.Name, env.AccountID)
	}
	return t, nil
}
