package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/report"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/rotation"
	"github.com/cognomega/edge/internal/term"
)

type reportOptions struct {
	html, junit string
	maxAge      time.Duration
	run, dryRun bool
}

// reportResult is the report, and the files that were written of it.
type reportResult struct {
	*report.Report
	Page  string `json:"page,omitempty"`
	JUnit string `json:"junit,omitempty"`
}

func newReport(d *Deps) *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use: "report", Short: "Show people the state: one page of verdicts, routes, CORS, latencies, keys and drift", Args: cobra.NoArgs,
		Long: "Show people the state of an environment: the verdict, the one thing to do, then who answers each URL, CORS, latencies with their bounds, signing keys, drift and gates. " +
			"It is one HTML file that needs nothing beside it and asks for nothing, for a phone, a screen or paper; the same facts as a Markdown comment (--output markdown), as JSON, and as JUnit's XML.\n\n" +
			"The facts are those of the files in proofs/ and snapshots/. Each proof is verified and its verdict derived again, as `cogctl verify` does: what cannot be believed is shown as such and never as a pass, " +
			"and so is what is older than --max-age. --run looks first: it proves Phase 0 and CORS and takes a snapshot, but sends no load.\n\n" +
			"Exit codes: 0 everything that is promised holds; 1 something does not; 4 something is not known.",
		Example: "  cogctl report                                  # writes reports/local.html\n  cogctl report --run --env staging --html -  > staging.html\n" +
			"  cogctl report --env production --output markdown --junit report.xml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runReport(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			if o.html != "-" {
				err = d.Term.Print(term.Report{Schema: "cogctl/report/v1", Data: result, Blocks: result.blocks()})
			}
			if err != nil {
				return err
			}
			return result.Verdict.Err()
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.html, "html", "", "file of the page, - for stdout instead of the summary (default: reports/<env>.html)")
	f.StringVar(&o.junit, "junit", "", "also write JUnit's XML to this file")
	f.DurationVar(&o.maxAge, "max-age", 24*time.Hour, "evidence that is older does not count as a pass (0: it always counts)")
	f.BoolVar(&o.run, "run", false, "prove Phase 0 and CORS and take a snapshot first, and keep the evidence")
	f.BoolVar(&o.dryRun, "dry-run", false, "write no file")
	return cmd
}

func runReport(ctx context.Context, d *Deps, o reportOptions) (*reportResult, error) {
	if o.maxAge < 0 {
		return nil, fault.New(fault.Invalid, "--max-age %s is in the future", o.maxAge)
	}
	if o.run && o.dryRun {
		return nil, fault.New(fault.Invalid, "--run keeps evidence, --dry-run writes nothing").WithHint("cogctl prove phase0 --dry-run looks and keeps nothing")
	}
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	if _, ok := c.Envs[d.Env]; !ok {
		return nil, d.unknownEnv(c)
	}
	var turning *report.Rotation
	if o.run {
		if turning, err = lookFirst(ctx, d); err != nil {
			return nil, err
		}
	}
	ring, err := d.ring()
	if err != nil {
		return nil, err
	}
	gates, err := d.reportGates(ctx, c)
	if err != nil {
		return nil, err
	}
	left, err := d.unfinished(d.Env, trustOptions{})
	if err != nil {
		return nil, err
	}
	r, err := report.Gather(ctx, report.Sources{
		Env: d.Env, Contract: c, Verifier: evidence.Verifier{Ring: ring, Checks: suite.For(c), Contract: c}, Proofs: d.proofs(), Snapshots: d.snapshots(),
		Now: d.now(), Tool: "cogctl " + d.Version, MaxAge: o.maxAge, Rotation: turning, Gates: gates, Left: left,
	})
	if err != nil {
		return nil, err
	}
	result := &reportResult{Report: r}
	return result, result.write(d, o)
}

// lookFirst makes the evidence that costs nothing but some requests, and asks how far a rotation of the key is. What could not
// be looked at is said; the report then shows what is left.
func lookFirst(ctx context.Context, d *Deps) (*report.Rotation, error) {
	proved, err := runProve(ctx, d, phase{"Phase 0", append(suite.Phase0(), cors.MatrixWithin(mostRequests))}, true)
	if err != nil {
		return nil, err
	}
	for _, c := range proved.Checks {
		if c.err != nil {
			d.Term.Note(term.T("could not look at " + c.Name + ": " + c.Summary))
		}
	}
	s, err := d.live(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	if _, err = s.Keep(d.snapshots()); err != nil {
		return nil, err
	}
	_, status, err := runJWKSStatus(ctx, d)
	if err != nil {
		d.Term.Note(term.T("could not ask how far a rotation of the key is: " + err.Error()))
		return nil, nil //nolint:nilerr,nilnil // a report without it says so
	}
	return rotationOf(status), nil
}

// rotationOf is the state of a rotation in the report's words.
func rotationOf(s *rotation.Status) *report.Rotation {
	var line strings.Builder
	for _, t := range phaseLine(s)[1:] {
		line.WriteString(t.Text)
	}
	r := &report.Rotation{Phase: strings.TrimSpace(line.String()), Overdue: s.Overdue, Steps: []report.Step{}}
	for _, e := range s.Timeline {
		at := e.At
		r.Steps = append(r.Steps, report.Step{Name: eventText(e), At: &at, Done: e.State == "done", Because: e.Because})
	}
	return r
}

// write makes the files that were asked for, each whole or not at all.
func (r *reportResult) write(d *Deps, o reportOptions) error {
	if o.dryRun {
		return nil
	}
	page, err := r.HTML()
	if err != nil {
		return err
	}
	if o.html == "-" {
		if _, err := d.Term.Out().Write(page); err != nil {
			return fault.New(fault.Unavailable, "write the page: %w", err)
		}
	} else {
		path := o.html
		if path == "" {
			path = filepath.Join(d.reports(), d.Env+".html")
		}
		if err := replace(path, page); err != nil {
			return err
		}
		r.Page = relative(path)
	}
	if o.junit == "" {
		return nil
	}
	xml, err := r.Report.JUnit()
	if err != nil {
		return err
	}
	r.JUnit = o.junit
	return replace(o.junit, xml)
}

// reports is the checkout's folder of reports, or one here when this is no checkout.
func (d *Deps) reports() string {
	if l, err := d.layout(); err == nil {
		return filepath.Join(l.Root, "reports")
	}
	return filepath.Join(d.WorkDir, "reports")
}

func replace(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fault.New(fault.Invalid, "make the folder of %s: %w", path, unpath(err))
	}
	if err := renameio.WriteFile(path, data, 0o644); err != nil {
		return fault.New(fault.Invalid, "write %s: %w", path, unpath(err))
	}
	return nil
}

// markOf shows a check as the report counts it.
func markOf(c report.Check) term.Text {
	if c.State == report.NotAsked {
		return term.DimText("- " + string(c.State))
	}
	t := term.Mark(term.Verdict(c.Verdict))
	if c.State != report.Proven && c.Verdict != audit.Fail {
		t.Text += ", " + string(c.State)
	}
	return t
}
