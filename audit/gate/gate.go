// Package gate decides from kept proofs alone whether something may be done, and names the file each answer rests on.
package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// State is what became of one requirement.
type State string

// The states. Only Met opens a gate.
const (
	Met          State = "met"
	Missing      State = "missing"
	Stale        State = "stale"
	Failed       State = "failed"       // the check ran and did not hold
	Inconclusive State = "inconclusive" // the check could not decide
	Foreign      State = "foreign"      // of another environment, contract or set of bundles
	Rejected     State = "rejected"     // changed, not borne out by its own data, or signed by a key that is not trusted
)

// Link is one requirement with the proof that decides it.
type Link struct {
	Check         string             `json:"check"`
	State         State              `json:"state"`
	Because       string             `json:"because,omitempty"`
	Hint          string             `json:"hint,omitempty"`
	MaxAgeMinutes int                `json:"max_age_minutes"`
	File          string             `json:"file,omitempty"`
	SHA256        string             `json:"sha256,omitempty"` // of the file
	Key           *evidence.Key      `json:"key,omitempty"`
	At            *time.Time         `json:"at,omitempty"`
	AgeSeconds    int64              `json:"age_s,omitempty"`
	AccountID     string             `json:"account_id,omitempty"`
	Verdict       audit.Verdict      `json:"verdict,omitempty"` // derived again from the proof's own data
	Summary       string             `json:"summary,omitempty"`
	Subjects      []evidence.Subject `json:"subjects,omitempty"`
}

// Decision is a gate with every link of its chain.
type Decision struct {
	Gate     string            `json:"gate"`
	Why      string            `json:"why"`
	Env      string            `json:"env"`
	Open     bool              `json:"open"`
	At       time.Time         `json:"at"`
	Contract string            `json:"contract_sha256"`
	Links    []Link            `json:"chain"`
	Bundles  map[string]string `json:"bundles"` // by Worker, what the proofs are about
	Problems []string          `json:"problems"`
}

// Ask is what is to be decided.
type Ask struct {
	Gate  string // of the contract
	Env   string // for a gate that says none
	Files []File
	Trust evidence.Verifier
	Now   time.Time
}

// Decide walks a gate's requirements in the order of their names. An error means that there is no such gate to decide on.
func Decide(ctx context.Context, a Ask) (*Decision, error) {
	c := a.Trust.Contract
	g, ok := c.Gates.Gates[a.Gate]
	if !ok {
		return nil, fault.New(fault.NotFound, "gate %q is not in the contract", a.Gate).WithHint("one of: %s", strings.Join(slices.Sorted(maps.Keys(c.Gates.Gates)), ", "))
	}
	d := &Decision{Gate: a.Gate, Why: g.Why, Env: g.Env, At: a.Now.UTC().Truncate(time.Second), Contract: c.Digest(), Bundles: map[string]string{}, Problems: []string{}}
	if d.Env == "" {
		d.Env = a.Env
	}
	for _, check := range slices.Sorted(maps.Keys(g.Proofs)) {
		d.Links = append(d.Links, a.link(ctx, d.Env, check, g.Proofs[check]))
	}
	d.agree()
	d.Open = len(d.Problems) == 0
	for _, l := range d.Links {
		d.Open = d.Open && l.State == Met
	}
	return d, nil
}

// Shut says in a few words each what keeps the gate from being open.
func (d *Decision) Shut() []string {
	words := slices.Clone(d.Problems)
	for _, l := range d.Links {
		if l.State != Met {
			words = append(words, l.Check+" is "+string(l.State))
		}
	}
	return words
}

// link finds the proof that decides a requirement and judges it.
func (a Ask) link(ctx context.Context, env, check string, r contract.Requirement) Link {
	l := Link{Check: check, MaxAgeMinutes: r.MaxAgeMinutes}
	file, _, ok := Newest(a.Files, env, check)
	if !ok {
		return l.missing(a.Files, env, a.prove(check, env))
	}
	l.File, l.SHA256 = file.Path, file.SHA256()
	found, err := a.Trust.Verify(ctx, file.Raw)
	if err != nil {
		l.State, l.Because, l.Hint = Rejected, err.Error(), fault.HintOf(err)
		if fault.KindOf(err) == fault.Inconclusive {
			l.State = Foreign
		}
		return l
	}
	p := found.Statement.Predicate
	at := p.At
	l.Key, l.At, l.AgeSeconds, l.AccountID, l.Verdict, l.Summary = &found.Key, &at, int64(a.Now.Sub(at)/time.Second), p.Where.AccountID, p.Result.Verdict, p.Result.Summary
	l.Subjects = found.Statement.Subject
	if p.Check != check || p.Where.Name != env {
		return l.not(Rejected, fmt.Sprintf("the file's name says %s of %s, and it is %s of %s", check, env, p.Check, p.Where.Name), "")
	}
	return l.judge(a.Now.Sub(at), r.MaxAge(), "prove it again: "+a.prove(check, env))
}

// prove is the command that makes a proof; none for a check that this program does not have.
func (a Ask) prove(check, env string) string {
	i := slices.IndexFunc(a.Trust.Checks, func(c audit.Check) bool { return c.Name == check })
	if i < 0 {
		return ""
	}
	return a.Trust.Checks[i].Prove(env)
}

// clockSkew is how far the clocks of two machines may be apart.
const clockSkew = time.Minute

func (l Link) judge(age, most time.Duration, again string) Link {
	switch {
	case age < -clockSkew:
		return l.not(Stale, "it was made "+(-age).Round(time.Second).String()+" from now: a clock is wrong", again)
	case age > most:
		return l.not(Stale, "it is "+age.Round(time.Second).String()+" old, and may be "+most.String(), again)
	case l.Verdict == audit.Fail:
		return l.not(Failed, l.Summary, "what it found: cogctl verify "+l.File)
	case l.Verdict != audit.Pass:
		return l.not(Inconclusive, l.Summary, again)
	}
	l.State = Met
	return l
}

func (l Link) not(s State, because, hint string) Link {
	l.State, l.Because, l.Hint = s, because, hint
	return l
}

// missing says whether there is a proof of the check in another environment, which is easily mistaken for one.
func (l Link) missing(files []File, env, hint string) Link {
	if f, c, ok := Newest(files, "", l.Check); ok {
		l.File, l.SHA256 = f.Path, f.SHA256()
		return l.not(Foreign, "it is of environment "+c.Env+", and this gate wants "+env, hint)
	}
	return l.not(Missing, "no proof of it in "+env, hint)
}

// agree sees that all proofs are about one account and one set of bundles, and reads out which.
func (d *Decision) agree() {
	first := -1
	for i := range d.Links {
		l := &d.Links[i]
		if l.State != Met {
			continue
		}
		if first < 0 {
			first = i
			continue
		}
		other := d.Links[first]
		switch {
		case l.AccountID != other.AccountID:
			*l = l.not(Foreign, fmt.Sprintf("it is of account %s, and that of %s is of %s", l.AccountID, other.Check, other.AccountID), "")
		case !sameBundles(l.Subjects, other.Subjects):
			*l = l.not(Foreign, "it is of other bundles than that of "+other.Check, "prove all again, with no deployment between them")
		}
	}
	if first >= 0 {
		d.bundles(d.Links[first].Subjects)
	}
}

// workerSubject is how subjects that are Workers are named.
const workerSubject = "worker/"

// BundleDigest is the member of a subject's digest that names our own bundle: the head of its SHA-256.
const BundleDigest = "bundleSha256Head"

func (d *Decision) bundles(subjects []evidence.Subject) {
	for _, s := range subjects {
		worker, ok := strings.CutPrefix(s.Name, workerSubject)
		if !ok {
			continue
		}
		switch _, twice := d.Bundles[worker]; {
		case twice:
			d.Problems = append(d.Problems, "Worker "+worker+" was being served in two versions")
		case s.Digest[BundleDigest] == "":
			d.Problems = append(d.Problems, "Worker "+worker+" was not deployed by this project: its bundle has no digest")
		}
		d.Bundles[worker] = s.Digest[BundleDigest]
	}
}

// sameBundles compares what was served, and leaves out which deployment served it.
func sameBundles(a, b []evidence.Subject) bool {
	return slices.EqualFunc(a, b, func(x, y evidence.Subject) bool { return x.Name == y.Name && maps.Equal(x.Digest, y.Digest) })
}
