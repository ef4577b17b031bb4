package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/gate"
	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/release"
	"github.com/cognomega/edge/internal/term"
)

// promoted is an earlier promotion whose proof holds, with the release that is kept beside it.
type promoted struct {
	earlier  promotion.Earlier
	evidence promotion.Evidence
	release  release.Release
	contract *contract.Contract
}

// chooseEarlier picks the release that was promoted before the one that serves now. One whose proof or whose bytes cannot be
// believed is passed over, and said.
func (p *promotee) chooseEarlier(ctx context.Context) error {
	history, err := p.history(ctx)
	if err != nil {
		return err
	}
	if err := p.reach(ctx); err != nil {
		return err
	}
	serving, err := evidence.Deployed(ctx, p.t)
	if err != nil {
		return err
	}
	p.t = nil // it is judged by the contract of what is chosen
	chosen := p.goBackTo(history, serving)
	if chosen == nil {
		return p.refused(fault.New(fault.Refused, "no earlier promotion with its release is kept in %s", strings.Join(p.d.proofFolders(p.o.trustOptions), ", ")).
			WithHint("get the evidence of an earlier run of the deploy workflow, or revert the commit and promote again"))
	}
	p.release, p.judged, p.result.Promoted = chosen.release, chosen.contract, &chosen.earlier
	return nil
}

// goBackTo is the promotion that a rollback brings back. After one that did not come to its end it is what served before that
// began, whatever serves now; a rollback that was cut short goes on to where it was going.
func (p *promotee) goBackTo(history []promoted, serving []evidence.Subject) *promoted {
	open := p.last
	switch {
	case p.o.release != "" || open == nil || open.Stage == promotion.Ended:
		return pick(history, p.o.release, serving)
	case open.Rollback:
		return pick(history, open.Release.ID, serving)
	case len(promotion.Differs(open.Release, open.WasServing)) == 0: // it was being promoted again
		return pick(history, "", open.WasServing)
	}
	others := slices.DeleteFunc(slices.Clone(history), func(h promoted) bool { return h.release.ID == open.Release.ID })
	for i := range others {
		if len(promotion.Differs(others[i].evidence.Release, open.WasServing)) == 0 {
			return &others[i]
		}
	}
	return element(others, 0)
}

// pick is the promotion before the one that serves; when none of them serves, the newest; with a release given, that one.
func pick(history []promoted, wanted string, serving []evidence.Subject) *promoted {
	at := 0
	for i := range history {
		r := history[i].release
		switch {
		case wanted != "":
			if strings.HasPrefix(r.ID, wanted) {
				return &history[i]
			}
		case len(promotion.Differs(history[i].evidence.Release, serving)) == 0:
			at = i + 1
			for at < len(history) && history[at].release.ID == r.ID {
				at++
			}
			return element(history, at)
		}
	}
	if wanted != "" {
		return nil
	}
	return element(history, at)
}

func element(history []promoted, i int) *promoted {
	if i >= len(history) {
		return nil
	}
	return &history[i]
}

// history is every promotion that passed and can be believed, newest first. Rollbacks are no part of it: going back twice goes
// back two steps.
func (p *promotee) history(ctx context.Context) ([]promoted, error) {
	folders := p.d.proofFolders(p.o.trustOptions)
	files, err := gate.Read(folders...)
	if err != nil {
		return nil, err
	}
	ring, err := p.d.believed(p.o.keys)
	if err != nil {
		return nil, err
	}
	var all []promoted
	for _, f := range gate.Claiming(files, p.rule.To, promotion.Name) {
		one, err := believe(ctx, ring, f, folders)
		if err != nil {
			p.d.Term.Note(term.T("passed over " + relative(f.Path) + ": " + err.Error()))
			continue
		}
		if !one.evidence.Rollback {
			all = append(all, *one)
		}
	}
	return all, nil
}

// believe verifies a promotion's proof under the contract of the release that it names, which lies beside it.
func believe(ctx context.Context, ring evidence.Ring, f gate.File, folders []string) (*promoted, error) {
	said, err := saidBy(f.Raw)
	if err != nil {
		return nil, err
	}
	r, err := findRelease(said.Release.ID, append([]string{filepath.Dir(f.Path)}, folders...))
	if err != nil {
		return nil, err
	}
	c, err := contract.LoadFS(r.ContractFS())
	if err != nil {
		return nil, fault.New(fault.Invalid, "its contract cannot be read by this cogctl: %w", err)
	}
	found, err := evidence.Verifier{Ring: ring, Checks: suite.For(c), Contract: c}.Verify(ctx, f.Raw)
	if err != nil {
		return nil, err
	}
	predicate := found.Statement.Predicate
	if predicate.Check != promotion.Name || predicate.Result.Verdict != audit.Pass {
		return nil, fault.New(fault.Refused, "it is of %s, and says %s", predicate.Check, predicate.Result.Verdict)
	}
	if r.Contract != c.Digest() {
		return nil, fault.New(fault.Denied, "its release holds another contract than it says")
	}
	return &promoted{promotion.Earlier{File: filepath.Base(f.Path), SHA256: f.SHA256(), At: predicate.At}, said, r, c}, nil
}

// saidBy reads a proof before it is believed, to know where to look for its release.
func saidBy(raw []byte) (promotion.Evidence, error) {
	var envelope struct {
		Payload []byte `json:"payload"`
	}
	var s struct {
		Predicate struct {
			Result struct {
				Evidence promotion.Evidence `json:"evidence"`
			} `json:"result"`
		} `json:"predicate"`
	}
	if json.Unmarshal(raw, &envelope) != nil || json.NewDecoder(bytes.NewReader(envelope.Payload)).Decode(&s) != nil {
		return promotion.Evidence{}, fault.New(fault.Denied, "it cannot be read")
	}
	return s.Predicate.Result.Evidence, nil
}

// findRelease opens a release by its digest: beside its proof, or in one of the folders of evidence.
func findRelease(id string, folders []string) (r release.Release, err error) {
	if len(id) != 64 || strings.ContainsAny(id, `/\.`) {
		return r, fault.New(fault.Denied, "it names no release")
	}
	for _, folder := range folders {
		found, failed := release.Open(filepath.Join(platform.ReleasesDir(folder), id))
		if failed == nil {
			return found, nil
		}
		if err == nil || errors.Is(err, fault.NotFound) { // a release that was changed says more than a folder without it
			err = failed
		}
	}
	return r, err
}
