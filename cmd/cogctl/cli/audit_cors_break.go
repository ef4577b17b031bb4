package cli

import (
	"context"
	"errors"
	"strings"

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

// breaker deploys stand-ins through the API, and then the versions that served before.
func breaker(api *cfapi.Client) cors.Breaker {
	return func(ctx context.Context, workers []string, status int) (func(context.Context) error, error) {
		before := map[string]string{}
		restore := func(ctx context.Context) (err error) {
			for _, name := range sortedKeys(before) {
				err = errors.Join(err, api.Deploy(ctx, name, before[name], "put back after cogctl audit cors --break"))
			}
			return err
		}
		for _, name := range workers {
			version, err := serving(ctx, api, name)
			if err == nil {
				before[name] = version
				_, err = api.PutScript(ctx, name, cfapi.ScriptUpload{
					Modules:    []cfapi.Module{{Name: "worker.js", Type: "application/javascript+module", Content: []byte(cors.StandIn(status))}},
					MainModule: "worker.js", CompatibilityDate: "2026-11-01", Annotations: map[string]string{"workers/message": "broken on purpose"},
				})
			}
			if err != nil {
				return nil, errors.Join(err, restore(context.WithoutCancel(ctx)))
			}
		}
		return restore, nil
	}
}

// serving is the version that takes all of a Worker's traffic. One that was left broken by a run that was killed is not taken
// for the Worker.
func serving(ctx context.Context, api *cfapi.Client, name string) (string, error) {
	deployments, err := api.Deployments(ctx, name)
	if err != nil {
		return "", err
	}
	if len(deployments) == 0 || len(deployments[0].Versions) != 1 {
		return "", fault.New(fault.Conflict, "Worker %s has no single version that serves", name).WithHint("cogctl up")
	}
	v, err := api.Version(ctx, name, deployments[0].Versions[0].VersionID)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(v.Annotations["workers/message"], "broken on purpose") {
		return "", fault.New(fault.Conflict, "Worker %s is a stand-in that an interrupted run left behind", name).WithHint("cogctl up puts it right")
	}
	return deployments[0].Versions[0].VersionID, nil
}
