package cli

import (
	"context"
	"errors"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// brokenResult is what reached callers while services failed.
type brokenResult struct {
	Env      string               `json:"env"`
	Hostname string               `json:"hostname"`
	Verdict  audit.Verdict        `json:"verdict"`
	Summary  string               `json:"summary"`
	Workers  []string             `json:"workers"`
	Requests int                  `json:"requests"`
	Coverage []cors.Coverage      `json:"coverage"`
	Findings []audit.Finding      `json:"findings"`
	Evidence *cors.MatrixEvidence `json:"evidence"`
}

// auditBroken breaks the services of the platform on this machine, one way after the other, and puts them back.
func auditBroken(ctx context.Context, d *Deps, t *audit.Target) error {
	if t.Env != localEnv {
		return fault.New(fault.Refused, "services of %s are not broken on purpose: people use them", t.Env).WithHint("--env local")
	}
	progress := d.Term.Progress("breaking services of " + t.Hostname + ", and putting them back")
	r, err := cors.Broken(breaker(t.API)).Run(ctx, t)
	progress.Stop()
	if err != nil {
		return err
	}
	e, _ := r.Evidence.(cors.MatrixEvidence)
	result := &brokenResult{
		Env: t.Env, Hostname: t.Hostname, Verdict: r.Verdict, Summary: r.Summary, Workers: cors.Breakable(t.Contract), Requests: len(e.Exchanges),
		Coverage: cors.Cover(e.Exchanges), Findings: r.Findings, Evidence: &e,
	}
	if err := d.Term.Print(term.Report{Schema: "cogctl/audit.cors.broken/v1", Data: result, Blocks: result.blocks()}); err != nil {
		return err
	}
	return result.Verdict.Err()
}

func (r *brokenResult) blocks() []term.Block {
	rows := term.Rows{Columns: []string{"answer", "allowed", "foreign"}}
	for _, c := range r.Coverage {
		if c.Allowed+c.Foreign > 0 {
			rows.Rows = append(rows.Rows, term.Row(c.Status, counted(c.Allowed, "answer"), counted(c.Foreign, "answer")))
		}
	}
	blocks := []term.Block{headline(r.Verdict, "one CORS layer while services fail: "+r.Summary), rows}
	if len(r.Findings) > 0 {
		blocks = append(blocks, findingRows(r.Findings, "got", "want"))
	}
	return append(blocks, hintLines(r.Findings)...)
}

// breaker has stand-ins serve in place of the Workers, and then the Workers again.
func breaker(api *cfapi.Client) cors.Breaker {
	return func(ctx context.Context, workers []string, status int) (func(context.Context) error, error) {
		if _, err := mendStandIns(ctx, api, workers); err != nil {
			return nil, err
		}
		restore := func(ctx context.Context) error {
			_, err := mendStandIns(ctx, api, workers)
			return err
		}
		for _, name := range workers {
			if err := putStandIn(ctx, api, name, status); err != nil {
				return nil, errors.Join(err, restore(context.WithoutCancel(ctx)))
			}
		}
		return restore, nil
	}
}
