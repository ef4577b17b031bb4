package report

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

const (
	mostTries     = 8  // files of one check that are opened to find one that can be believed
	mostSightings = 24 // proofs of the key set that the timeline is drawn from
	mostProof     = 64 << 20
	stampForm     = "2006-01-02T15-04-05Z"
)

// candidate is a file that is named as a proof is. What a name says only decides what is opened: a proof that says otherwise
// is not believed.
type candidate struct {
	path, check string
	at          time.Time
}

var numbered = regexp.MustCompile(`-\d+$`)

// candidates lists the proofs of an environment by check, newest first. A folder that is not there holds none.
func candidates(dir, env string, known map[string]bool) (map[string][]candidate, error) {
	found, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Invalid, "list the proofs: %w", err)
	}
	byCheck := map[string][]candidate{}
	for _, f := range found {
		name, isJSON := strings.CutSuffix(f.Name(), ".json")
		if !isJSON || len(name) <= len(stampForm) {
			continue
		}
		at, err := time.Parse(stampForm, name[:len(stampForm)])
		check, ours := strings.CutPrefix(name[len(stampForm):], "-"+env+"-")
		if err != nil || !ours {
			continue
		}
		if !known[check] {
			check = numbered.ReplaceAllString(check, "")
		}
		if known[check] {
			byCheck[check] = append(byCheck[check], candidate{filepath.Join(dir, f.Name()), check, at})
		}
	}
	for _, list := range byCheck {
		slices.SortFunc(list, func(a, b candidate) int {
			return cmp.Or(b.at.Compare(a.at), len(b.path)-len(a.path), cmp.Compare(b.path, a.path))
		})
	}
	return byCheck, nil
}

// readProofs finds the newest evidence of every check that there can be.
func (r *Report) readProofs(ctx context.Context, s Sources) error {
	checks := suite.For(s.Contract)
	known := map[string]bool{}
	for _, c := range checks {
		known[c.Name] = true
	}
	found, err := candidates(s.Proofs, s.Env, known)
	if err != nil {
		return err
	}
	required := map[string]bool{}
	for _, c := range suite.Phase0() {
		required[c.Name] = true
	}
	for _, id := range slices.Sorted(maps.Keys(s.Contract.SLO)) {
		// One that takes made-up accounts writes, and may buy something: a report is no reason to.
		o := s.Contract.SLO[id]
		required[slo.Prefix+id] = slo.Unprobeable(s.Contract, o) == "" && o.Probe.As == contract.AsNobody
	}
	for _, c := range checks {
		if c.Name == promotion.Name && len(found[c.Name]) == 0 {
			continue // an environment that nothing was promoted to misses nothing
		}
		one := Check{Name: c.Name, Title: c.Title, Verdict: audit.Inconclusive, State: Missing, Summary: "no evidence", Findings: []audit.Finding{}, Command: c.Prove(s.Env)}
		if !required[c.Name] {
			one.State, one.Summary = NotAsked, "not looked at"
		}
		r.look(ctx, s, &one, found[c.Name])
		r.Checks = append(r.Checks, one)
	}
	return nil
}

// look takes the newest proof that can be believed into a check. Whatever is newer and cannot be keeps it from counting as a
// pass: spoiling a file must not bring an older verdict back.
func (r *Report) look(ctx context.Context, s Sources, one *Check, files []candidate) {
	spoiled := 0
	for i, file := range files {
		if i == mostTries && one.At == nil {
			return
		}
		wanted := one.At == nil || one.Name == "jwks" && len(r.Keys.Sightings) < mostSightings
		if !wanted {
			return
		}
		found, err := verify(ctx, s, file)
		switch {
		case err == nil && one.At == nil:
			one.take(s, file, found)
			one.spoil(spoiled)
		case err != nil && fault.KindOf(err) == fault.Inconclusive && one.At == nil:
			one.take(s, file, found)
			one.State, one.Verdict, one.Because = Unjudged, audit.Inconclusive, err.Error()
		case err != nil && one.At == nil:
			spoiled++
			r.Unbelieved = append(r.Unbelieved, Unbelieved{filepath.Base(file.path), fault.KindOf(err), err.Error(), fault.HintOf(err)})
			one.State, one.Because = Rejected, filepath.Base(file.path)+" cannot be believed"
		}
		if err == nil && one.Name == "jwks" {
			if seen, err := jwks.Recall(found.Statement.Predicate.Result.Evidence); err == nil {
				r.Keys.Sightings = slices.Insert(r.Keys.Sightings, 0, seen)
			}
		}
	}
}

func verify(ctx context.Context, s Sources, file candidate) (evidence.Verified, error) {
	info, err := os.Stat(file.path)
	if err == nil && info.Size() > mostProof {
		return evidence.Verified{}, fault.New(fault.TooLarge, "it is larger than any proof")
	}
	raw, err := os.ReadFile(file.path)
	if err != nil {
		return evidence.Verified{}, fault.New(fault.Invalid, "it cannot be read: %w", err)
	}
	found, err := s.Verifier.Verify(ctx, raw)
	if err != nil && fault.KindOf(err) != fault.Inconclusive {
		return found, err
	}
	p := found.Statement.Predicate
	if p.Check != file.check || p.Where.Name != s.Env || !p.At.Equal(file.at) {
		return found, fault.New(fault.Denied, "it is a proof of %s on %s of %s, under another name", p.Check, p.Where.Name, p.At.Format(stampForm)).
			WithHint("give it back its own name: %s", p.FileName())
	}
	return found, err
}

func (c *Check) take(s Sources, file candidate, found evidence.Verified) {
	p := found.Statement.Predicate
	at := p.At
	c.At, c.AgeS, c.File = &at, s.Now.Sub(at).Round(time.Second).Seconds(), filepath.Base(file.path)
	c.Said, c.Verdict, c.State = p.Result.Verdict, p.Result.Verdict, Proven
	c.Summary, c.Findings, c.evidence = p.Result.Summary, p.Result.Findings, p.Result.Evidence
	if c.SignedBy = found.Key.Name; c.SignedBy == "" {
		c.SignedBy = found.Key.ID[:min(16, len(found.Key.ID))]
	}
	if state, because := s.freshness(at); state != Proven {
		c.State, c.Because = state, because
		if c.Verdict == audit.Pass {
			c.Verdict = audit.Inconclusive
		}
	}
}

// spoil takes back a pass when newer files cannot be believed.
func (c *Check) spoil(files int) {
	if files == 0 {
		return
	}
	c.State, c.Because = Rejected, "something newer is there and cannot be believed"
	if c.Verdict == audit.Pass {
		c.Verdict = audit.Inconclusive
	}
}

// clockSkew is how far ahead another machine's clock may be.
const clockSkew = 2 * time.Minute

func (s Sources) freshness(at time.Time) (State, string) {
	switch age := s.Now.Sub(at); {
	case age < -clockSkew:
		return Stale, "it was made in the future: a clock is wrong"
	case s.MaxAge > 0 && age > s.MaxAge:
		return Stale, "it is older than " + span(s.MaxAge) + ", which is how long evidence counts here"
	default:
		return Proven, ""
	}
}
