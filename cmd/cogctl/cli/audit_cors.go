package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// mostRequests is what the matrix may send unless it is told otherwise: twice what it takes today.
const mostRequests = 2000

// corsResult is every line of the matrix, what of it was seen, and what is wrong.
type corsResult struct {
	Env      string               `json:"env"`
	Hostname string               `json:"hostname"`
	Verdict  audit.Verdict        `json:"verdict"`
	Summary  string               `json:"summary"`
	Requests int                  `json:"requests"`
	TookMS   int64                `json:"took_ms"`
	Groups   []cors.Group         `json:"groups"`
	Coverage []cors.Coverage      `json:"coverage"`
	Findings []audit.Finding      `json:"findings"`
	Evidence *cors.MatrixEvidence `json:"evidence"`
}

func newAuditCors(d *Deps) *cobra.Command {
	var most int
	var plan, breaking bool
	cmd := &cobra.Command{
		Use: "cors", Short: "Check CORS as a matrix: paths, origins, methods, requested headers, and errors", Args: cobra.NoArgs,
		Long: "Check CORS as a matrix: every public path and alias meets every kind of origin (allowed, foreign, null, none, and look-alikes by suffix, prefix, subdomain, pattern, scheme, " +
			"port, case, trailing dot and slash, userinfo, IDN and list), and any two of path, origin, requested method and requested headers meet at least once. Errors are provoked too.\n\n" +
			"Nothing that changes state is sent. OPTIONS asks for every method; GET and HEAD read; GET with a token that is none provokes 401, with another's email 403; GET where only POST is, and " +
			"PROPFIND elsewhere, provoke 405; a long URL 414; POST is sent only to provoke 413, with a body that is over the path's limit and is not JSON, to paths that take small bodies from everybody. " +
			"PUT, PATCH and DELETE are asked for and never sent. 429 and 5xx are not provoked: they are judged when they are met, and otherwise reported as not covered. " +
			"On the platform of this machine --break provokes them: the services behind the open paths are replaced by stand-ins that throw and answer 429, 500, 502, 503 and 504, each in turn, and put back.",
		Example: "  cogctl audit cors\n  cogctl audit cors --env production --output json\n  cogctl audit cors --plan\n  cogctl audit cors --break            # 429 and 5xx, on this machine alone",
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := d.Target(cmd.Context(), d.Env)
			if err != nil {
				return err
			}
			if plan {
				return d.Term.Print(corsPlan(t))
			}
			if breaking {
				return auditBroken(cmd.Context(), d, t)
			}
			result, err := runAuditCors(cmd.Context(), d, t, most)
			if err != nil {
				return err
			}
			if err := d.Term.Print(corsReport(result)); err != nil {
				return err
			}
			return result.Verdict.Err()
		},
	}
	cmd.Flags().IntVar(&most, "max-requests", mostRequests, "send nothing when it would take more requests than this")
	cmd.Flags().BoolVar(&breaking, "break", false, "have the services of the platform on this machine fail in every way, judge what reaches callers, and put them back")
	cmd.Flags().BoolVar(&plan, "plan", false, "show what would be sent, and send nothing")
	return cmd
}

func runAuditCors(ctx context.Context, d *Deps, t *audit.Target, most int) (*corsResult, error) {
	if most < 1 {
		return nil, fault.New(fault.Invalid, "--max-requests %d would send nothing", most)
	}
	progress := d.Term.Progress("asking " + t.Hostname + " from every kind of origin")
	started := d.Now()
	r, err := cors.MatrixWithin(most).Run(ctx, t)
	progress.Stop()
	if err != nil {
		return nil, err
	}
	e, _ := r.Evidence.(cors.MatrixEvidence)
	return &corsResult{
		Env: t.Env, Hostname: t.Hostname, Verdict: r.Verdict, Summary: r.Summary, Requests: len(e.Exchanges), TookMS: d.Now().Sub(started).Milliseconds(),
		Groups: cors.Groups(t.Contract, e.Exchanges), Coverage: cors.Cover(e.Exchanges), Findings: r.Findings, Evidence: &e,
	}, nil
}

func corsReport(r *corsResult) term.Report {
	what := fmt.Sprintf("one CORS layer on every answer of %s: %s in %s", r.Hostname, counted(r.Requests, "request"), seconds(r.TookMS))
	switch {
	case len(r.Findings) > 0:
		what = fmt.Sprintf("%s in the CORS of %s: %s in %s", counted(len(r.Findings), "finding"), r.Hostname, counted(r.Requests, "request"), seconds(r.TookMS))
	case r.Verdict == audit.Inconclusive:
		what = "CORS of " + r.Hostname + ": an answer that was to be provoked did not come"
	}
	report := term.Report{Schema: "cogctl/audit.cors/v1", Data: r, Blocks: []term.Block{headline(r.Verdict, what), groupRows(r.Groups), coverageRows(r.Coverage)}}
	if len(r.Findings) == 0 {
		return report
	}
	report.Blocks = append(report.Blocks, findingRows(r.Findings, "got", "want"))
	for _, f := range r.Findings {
		report.Blocks = append(report.Blocks, term.Line{term.DimText(f.Code + "  "), term.T(f.Curl)})
	}
	if r.Env == localEnv {
		report.Blocks = append(report.Blocks, term.Hint("export CURL_CA_BUNDLE=.local/ca.pem  # curl then trusts the local cloud"))
	}
	report.Blocks = append(report.Blocks, hintLines(r.Findings)...)
	return report
}

func seconds(ms int64) string { return strconv.FormatFloat(float64(ms)/1000, 'f', 1, 64) + " s" }

func groupRows(groups []cors.Group) term.Rows {
	rows := term.Rows{Columns: []string{"path", "names", "requests", "allowed", "foreign", "verdict", "answers"}}
	for _, g := range groups {
		verdict := term.Pass
		if g.Faults > 0 {
			verdict = term.Fail
		}
		var answers []string
		for _, status := range slices.Sorted(maps.Keys(g.Statuses)) {
			answers = append(answers, fmt.Sprintf("%d×%d", g.Statuses[status], status))
		}
		rows.Rows = append(rows.Rows, []term.Text{
			term.T(g.Path), term.T(strconv.Itoa(1 + len(g.Aliases))), term.T(strconv.Itoa(g.Requests)), term.T(strconv.Itoa(g.Allowed)), term.T(strconv.Itoa(g.Foreign)),
			term.Mark(verdict), term.DimText(strings.Join(answers, " ")),
		})
	}
	return rows
}

func coverageRows(all []cors.Coverage) term.Rows {
	rows := term.Rows{Columns: []string{"answer", "coverage", "allowed", "foreign", "how"}}
	for _, c := range all {
		state, how := term.Text{Text: "✓ covered", Tone: term.Good}, c.How
		if !c.Covered {
			state, how = term.Text{Text: "- not covered", Tone: term.Dim}, c.Why
		}
		if !c.Covered && c.Asked > 0 {
			state = term.Text{Text: "? not covered", Tone: term.Warn}
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(c.Status), state, term.T(strconv.Itoa(c.Allowed)), term.T(strconv.Itoa(c.Foreign)), term.DimText(how)})
	}
	return rows
}

// corsPlan is what would be sent, by what it is to provoke.
func corsPlan(t *audit.Target) term.Report {
	requests := cors.Requests(t)
	type line struct {
		Probe    string `json:"probe"`
		Method   string `json:"method"`
		Requests int    `json:"requests"`
	}
	var lines []line
	for _, r := range requests {
		i := slices.IndexFunc(lines, func(l line) bool { return l.Probe == r.Probe && l.Method == r.Method })
		if i < 0 {
			i, lines = len(lines), append(lines, line{Probe: r.Probe, Method: r.Method})
		}
		lines[i].Requests++
	}
	rows := term.Rows{Columns: []string{"probe", "method", "requests"}, Empty: "nothing: the environment allows no origin"}
	for _, l := range lines {
		rows.Rows = append(rows.Rows, term.Row(strings.ReplaceAll(l.Probe, "_", " "), l.Method, strconv.Itoa(l.Requests)))
	}
	return term.Report{
		Schema: "cogctl/audit.cors.plan/v1",
		Data: struct {
			Env      string         `json:"env"`
			Hostname string         `json:"hostname"`
			Requests int            `json:"requests"`
			Probes   []line         `json:"probes"`
			Planned  []cors.Request `json:"planned"`
		}{t.Env, t.Hostname, len(requests), lines, requests},
		Blocks: []term.Block{term.Line{term.T(counted(len(requests), "request") + " would go to " + t.Hostname + "; none changes state, and none was sent")}, rows},
	}
}
