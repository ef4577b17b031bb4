package report

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/fault"
)

// readDrift compares what is declared with the newest snapshot of the environment.
func (r *Report) readDrift(s Sources) error {
	r.Drift = Drift{Verdict: audit.Inconclusive, State: Missing, Because: "no snapshot is kept", Changes: []snapshot.Change{}, Unseen: []snapshot.Unseen{}}
	entries, err := snapshot.List(s.Snapshots)
	if err != nil {
		return err
	}
	newest, spoiled := r.newest(entries, s.Env)
	if newest == nil {
		if spoiled != "" {
			r.Drift.State, r.Drift.Because = Rejected, spoiled+" cannot be believed"
		}
		return nil
	}
	raw, err := os.ReadFile(newest.File)
	if err != nil {
		return fault.New(fault.Invalid, "read %s: %w", newest.File, err)
	}
	live, err := snapshot.Parse(raw)
	if err != nil {
		return err // it was read a moment ago: somebody writes it over
	}
	declared, err := snapshot.Declared(s.Contract, s.Env, s.Now)
	if err != nil {
		return err
	}
	r.Drift.take(s, newest.File, live, snapshot.Diff(declared, live, nil))
	if spoiled != "" && filepath.Base(spoiled) > filepath.Base(newest.File) {
		r.Drift.doubt(Rejected, "something newer is there and cannot be believed")
	}
	return nil
}

// newest is the last snapshot of an environment, and the last file named as one that is none.
func (r *Report) newest(entries []snapshot.Entry, env string) (newest *snapshot.Entry, spoiled string) {
	for i, e := range entries {
		switch name := filepath.Base(e.File); {
		case e.Problem != "" && strings.Contains(name, "-"+env):
			spoiled = name
			r.Unbelieved = append(r.Unbelieved, Unbelieved{name, fault.KindOf(e.Err), e.Problem, fault.HintOf(e.Err)})
		case e.Problem == "" && e.Env == env:
			newest = &entries[i]
		}
	}
	return newest, spoiled
}

func (d *Drift) take(s Sources, file string, live *snapshot.Snapshot, diff *snapshot.Difference) {
	at := live.At
	*d = Drift{
		Verdict: diff.Verdict, State: Proven, At: &at, AgeS: s.Now.Sub(at).Seconds(), File: filepath.Base(file), Digest: live.Digest, Holds: live.Content.Sections(),
		Changes: diff.Changes, Unseen: diff.Unseen, Expected: len(diff.Expected),
	}
	if state, because := s.freshness(at); state != Proven {
		d.doubt(state, because)
	}
	if len(diff.Unseen) > 0 && d.Because == "" {
		d.Because = "the token could not see everything"
	}
}

// doubt takes back a pass.
func (d *Drift) doubt(state State, because string) {
	d.State, d.Because = state, because
	if d.Verdict == audit.Pass {
		d.Verdict = audit.Inconclusive
	}
}
