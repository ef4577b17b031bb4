// Package report joins the kept evidence of an environment into one account of its state, for people to look at.
package report

import (
	"context"
	"slices"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Sources is what a report is made from; nothing is asked of the environment itself.
type Sources struct {
	Env       string
	Contract  *contract.Contract
	Verifier  evidence.Verifier
	Proofs    string // folder
	Snapshots string // folder
	Now       time.Time
	Tool      string
	MaxAge    time.Duration // evidence older than this is shown, and does not count as a pass
	Gates     []Gate        // as the caller found them; they rest on the same evidence, so they add nothing to the verdict
	Rotation  *Rotation     // as the caller found it
	Left      *promotion.Unfinished
}

// Report is the state of an environment as its evidence has it.
type Report struct {
	Env        string        `json:"env"`
	Hostname   string        `json:"hostname"`
	At         time.Time     `json:"at"`
	Tool       string        `json:"tool"`
	Contract   string        `json:"contract_sha256"`
	MaxAgeS    float64       `json:"max_age_s"`
	Verdict    audit.Verdict `json:"verdict"`
	Headline   string        `json:"headline"`
	Todo       Todo          `json:"todo"`
	Checks     []Check       `json:"checks"`
	Routes     *RouteMap     `json:"routes"` // null where there is no evidence, and so with the others
	CORS       *Matrix       `json:"cors"`
	Objectives []Objective   `json:"objectives"`
	Keys       Keys          `json:"keys"`
	Drift      Drift         `json:"drift"`
	Gates      []Gate        `json:"gates"`
	Unbelieved []Unbelieved  `json:"not_believed"`
	// Unfinished is a promotion to the environment of which no end is known: what serves may be a part of a release.
	Unfinished *promotion.Unfinished `json:"unfinished,omitempty"`
}

// State says what is known of a check.
type State string

// The states. Only Proven lets a pass count.
const (
	Proven   State = "proven"
	Stale    State = "stale"      // the evidence is too old, or from the future
	Unjudged State = "unjudged"   // a good signature under another contract
	Rejected State = "rejected"   // something newer than the evidence cannot be believed
	Missing  State = "missing"    // no evidence
	NotAsked State = "not looked" // no evidence, and none is required
)

// Check is one promise with its newest evidence.
type Check struct {
	Name     string          `json:"name"`
	Title    string          `json:"title"`
	Verdict  audit.Verdict   `json:"verdict"` // that counts: a pass only of good and recent evidence
	State    State           `json:"state"`
	Said     audit.Verdict   `json:"said,omitempty"` // by the evidence itself
	Summary  string          `json:"summary"`
	Because  string          `json:"because,omitempty"` // why it does not count as what it said
	At       *time.Time      `json:"at,omitempty"`
	AgeS     float64         `json:"age_s,omitempty"`
	File     string          `json:"proof,omitempty"`
	SignedBy string          `json:"signed_by,omitempty"`
	Findings []audit.Finding `json:"findings"`
	Command  string          `json:"command"` // that makes newer evidence

	evidence []byte
}

// counts says whether the check takes part in the verdict.
func (c Check) counts() bool { return c.State != NotAsked }

// Looked is the checks that count.
func (r *Report) Looked() []Check {
	return slices.DeleteFunc(slices.Clone(r.Checks), func(c Check) bool { return !c.counts() })
}

// NotLooked is the checks that nobody made and nothing requires.
func (r *Report) NotLooked() []Check { return slices.DeleteFunc(slices.Clone(r.Checks), Check.counts) }

// RouteMap is who answers where.
type RouteMap struct {
	Owner       string             `json:"owner"`
	Zone        string             `json:"zone"`
	Territories []routes.Territory `json:"territories"`
	Left        int                `json:"left_out"`
	Proof       string             `json:"proof"`
}

// Matrix is what every path answered to every kind of origin.
type Matrix struct {
	cors.Grid
	Answers  int             `json:"answers"`
	Faulty   int             `json:"faulty_answers"`
	Coverage []cors.Coverage `json:"coverage,omitempty"` // of the full matrix alone
	Proof    string          `json:"proof"`
}

// Objective is a promise of the contract about latency, with the run that is its evidence.
type Objective struct {
	ID        string        `json:"objective"`
	Title     string        `json:"title"`
	LimitMS   int           `json:"limit_ms"`
	Quantile  float64       `json:"quantile"`
	Measured  *slo.Measured `json:"measured"`
	Histogram []slo.Bucket  `json:"histogram"`
	Beyond    int           `json:"beyond"` // answers to the right of the histogram
	Proof     string        `json:"proof,omitempty"`
	Verdict   audit.Verdict `json:"verdict"`
}

// Keys is which signing keys were published when.
type Keys struct {
	Sightings []jwks.Sighting `json:"sightings"` // oldest first
	Rotation  *Rotation       `json:"rotation"`
}

// Rotation is the state of a rotation of the signing key, in words.
type Rotation struct {
	Phase   string `json:"phase"`
	Overdue bool   `json:"overdue"` // a step is due, and nobody takes it
	Steps   []Step `json:"steps"`
}

// Step is a moment of a rotation, past or to come.
type Step struct {
	Name string     `json:"name"`
	At   *time.Time `json:"at,omitempty"`
	Done bool       `json:"done"`
	// Because says what it waits for.
	Because string `json:"because,omitempty"`
}

// Drift is in what the newest snapshot differs from what is declared.
type Drift struct {
	Verdict  audit.Verdict     `json:"verdict"`
	State    State             `json:"state"`
	Because  string            `json:"because,omitempty"`
	At       *time.Time        `json:"at,omitempty"`
	AgeS     float64           `json:"age_s,omitempty"`
	File     string            `json:"snapshot,omitempty"`
	Digest   string            `json:"digest,omitempty"`
	Holds    map[string]int    `json:"holds,omitempty"` // how many things by section
	Changes  []snapshot.Change `json:"changes"`
	Unseen   []snapshot.Unseen `json:"unseen"`
	Expected int               `json:"expected_differences"`
}

// Gate is what a gate says of the environment.
type Gate struct {
	Name    string        `json:"name"`
	Verdict audit.Verdict `json:"verdict"`
	Because string        `json:"because"`
}

// Unbelieved is a file that was found and does not count.
type Unbelieved struct {
	File   string     `json:"file"`
	Kind   fault.Kind `json:"kind"`
	Reason string     `json:"reason"`
	Hint   string     `json:"hint,omitempty"`
}

// Gather makes the report. It is an error only when a folder cannot be read: what is missing or not believed is in the report.
func Gather(ctx context.Context, s Sources) (*Report, error) {
	env, ok := s.Contract.Envs[s.Env]
	if !ok {
		return nil, fault.New(fault.NotFound, "environment %q is not in the contract", s.Env)
	}
	r := &Report{
		Env: s.Env, Hostname: env.Hostname, At: s.Now.UTC().Truncate(time.Second), Tool: s.Tool, Contract: s.Contract.Digest(), MaxAgeS: s.MaxAge.Seconds(),
		Checks: []Check{}, Objectives: []Objective{}, Gates: append([]Gate{}, s.Gates...), Unbelieved: []Unbelieved{},
		Keys: Keys{Sightings: []jwks.Sighting{}, Rotation: s.Rotation}, Unfinished: s.Left,
	}
	if err := r.readProofs(ctx, s); err != nil {
		return nil, err
	}
	if err := r.readDrift(s); err != nil {
		return nil, err
	}
	r.draw(s.Contract)
	r.conclude()
	return r, nil
}

// conclude is the verdict of everything that counts together, with what to do about it.
func (r *Report) conclude() {
	verdicts := r.verdicts()
	if r.Unfinished != nil {
		verdicts = append(verdicts, audit.Inconclusive)
	}
	r.Verdict = audit.Worst(verdicts...)
	r.Headline = r.headline()
	r.Todo = r.todo()
}
