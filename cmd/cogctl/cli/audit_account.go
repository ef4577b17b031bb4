package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// accountResult is who answers each hostname of an account.
type accountResult struct {
	Verdict audit.Verdict      `json:"verdict"`
	Account string             `json:"account_id"`
	Zones   int                `json:"zones"`
	Routes  int                `json:"routes"`
	Hosts   []routes.Judgement `json:"hosts"`
	Unseen  []routes.Unseen    `json:"unseen"`
}

func auditAccount(ctx context.Context, d *Deps, o routesOptions) error {
	result, err := runAuditAccount(ctx, d, o)
	if err != nil {
		return err
	}
	if err := d.Term.Print(accountReport(result)); err != nil {
		return err
	}
	return result.Verdict.Err()
}

func runAuditAccount(ctx context.Context, d *Deps, o routesOptions) (*accountResult, error) {
	if o.host != "" || o.zone != "" || o.owner != "" {
		return nil, fault.New(fault.Invalid, "--account decides every hostname, so --host, --zone and --expect-owner say nothing")
	}
	t, err := d.accountOf(ctx)
	if err != nil {
		return nil, err
	}
	progress := d.Term.Progress("reading every zone of account " + t.AccountID)
	a, err := routes.CollectAccount(ctx, t.API, d.now())
	progress.Stop()
	if err != nil {
		return nil, err
	}
	r := &accountResult{Verdict: audit.Pass, Account: a.ID, Zones: len(a.Zones), Hosts: routes.JudgeAccount(a), Unseen: a.Unseen}
	for _, z := range a.Zones {
		r.Routes += len(z.Routes)
	}
	if len(a.Unseen) > 0 {
		r.Verdict = audit.Inconclusive
	}
	for _, h := range r.Hosts {
		if audit.Conclude("", h.Findings, nil).Verdict == audit.Fail {
			r.Verdict = audit.Fail
		}
	}
	return r, nil
}

// accountOf is the account of --env, or without it the one that the process's environment names.
func (d *Deps) accountOf(ctx context.Context) (*audit.Target, error) {
	if !d.envGiven && d.Getenv("CLOUDFLARE_API_TOKEN") != "" {
		return d.stranger("every hostname", "")
	}
	return d.Target(ctx, d.Env)
}

func accountReport(r *accountResult) term.Report {
	what := counted(len(r.Hosts), "hostname") + " that a Worker answers, in " + counted(r.Zones, "zone") + " with " + counted(r.Routes, "route")
	rows := term.Rows{Columns: []string{"hostname", "zone", "owner", "verdict", "others on it"}}
	var findings []audit.Finding
	for _, h := range r.Hosts {
		v := audit.Conclude("", h.Findings, nil).Verdict
		owner := h.Owner
		if owner == "" {
			owner = "nobody"
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(h.Host), term.T(h.Zone), term.T(owner), term.Mark(term.Verdict(v)), term.DimText(strings.Join(othersOn(h), ", "))})
		for _, f := range h.Findings {
			if f.Severity != audit.Note {
				findings = append(findings, f)
			}
		}
	}
	report := term.Report{Schema: "cogctl/audit.routes.account/v1", Data: r, Blocks: []term.Block{headline(r.Verdict, what), rows}}
	if len(findings) > 0 {
		report.Blocks = append(report.Blocks, findingRows(findings, "answered by", "expected"))
	}
	for _, u := range r.Unseen {
		report.Blocks = append(report.Blocks, term.Headline(term.Inconclusive, "not seen: "+u.What+": "+u.Why), term.Hint(u.Hint))
	}
	report.Blocks = append(report.Blocks, hintLines(findings)...)
	return report
}

// othersOn lists who else answers on a host.
func othersOn(h routes.Judgement) []string {
	var names []string
	for _, f := range h.Findings {
		if f.Got != "" && f.Got != h.Owner && f.Severity == audit.Note && !slices.Contains(names, f.Got) {
			names = append(names, f.Got)
		}
	}
	slices.Sort(names)
	return names
}
