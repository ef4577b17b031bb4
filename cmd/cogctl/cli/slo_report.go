package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// reportedObjective is the newest proof of an objective, and how many of each verdict there are.
type reportedObjective struct {
	Objective string                `json:"objective"`
	Title     string                `json:"title"`
	Verdict   audit.Verdict         `json:"verdict"` // inconclusive where there is no proof
	At        string                `json:"at,omitempty"`
	AgeS      float64               `json:"age_s"`
	Measured  *slo.Measured         `json:"measured"` // null where there is no proof
	Proof     string                `json:"proof,omitempty"`
	Proofs    map[audit.Verdict]int `json:"proofs"`

	newest time.Time
}

// uncounted is a file that is not believed, or that this contract cannot judge.
type uncounted struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

type sloReport struct {
	Env        string              `json:"env"`
	Verdict    audit.Verdict       `json:"verdict"`
	Objectives []reportedObjective `json:"objectives"`
	Uncounted  []uncounted         `json:"uncounted"`

	elsewhere map[string]string
}

func newSLOReport(d *Deps) *cobra.Command {
	var o liveOptions
	cmd := &cobra.Command{
		Use: "report", Short: "Summarise the kept proofs of the objectives", Args: cobra.NoArgs,
		Long: "Summarise the kept proofs of the objectives of an environment: the newest of each decides. Every proof is verified first and its verdict derived again; " +
			"one that does not verify, or was made under another contract, is listed and not counted. Nothing is sent. An objective without a proof is inconclusive (exit 4).\n\n" +
			"With --from analytics it is live traffic that is summarised, as `cogctl slo prove --from analytics` judges it, and no evidence is kept.",
		Example: "  cogctl slo report\n  cogctl slo report --env staging --output markdown",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if live, err := o.live(fromProofs); err != nil || live {
				if err != nil {
					return err
				}
				return judgeLive(cmd.Context(), d, o, nil, false)
			}
			result, err := runSLOReport(cmd.Context(), d)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/slo.report/v1", Data: result, Blocks: result.blocks()}); err != nil {
				return err
			}
			return result.Verdict.Err()
		},
	}
	o.flags(cmd, fromProofs)
	return cmd
}

func runSLOReport(ctx context.Context, d *Deps) (*sloReport, error) {
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	if _, ok := c.Envs[d.Env]; !ok {
		return nil, d.unknownEnv(c)
	}
	ring, err := d.ring()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(d.proofs(), "*-"+slo.Prefix+"*.json"))
	if err != nil {
		return nil, fault.New(fault.Invalid, "list the proofs in %s: %w", d.proofs(), err)
	}
	slices.Sort(files)
	r := &sloReport{Env: d.Env, Uncounted: []uncounted{}, elsewhere: provenElsewhere(c)}
	for _, id := range sortedKeys(c.SLO) {
		r.Objectives = append(r.Objectives, reportedObjective{Objective: id, Title: slo.Title(c.SLO[id]), Verdict: audit.Inconclusive, Proofs: map[audit.Verdict]int{}})
	}
	v := evidence.Verifier{Ring: ring, Checks: suite.For(c), Contract: c}
	for _, file := range files {
		if err := r.count(ctx, d, v, c, file); err != nil {
			r.Uncounted = append(r.Uncounted, uncounted{File: relative(file), Reason: err.Error()})
		}
	}
	verdicts := []audit.Verdict{}
	for i := range r.Objectives {
		verdicts = append(verdicts, r.Objectives[i].Verdict)
	}
	if r.Verdict = audit.Worst(verdicts...); len(verdicts) == 0 {
		r.Verdict = audit.Inconclusive
	}
	return r, nil
}

// count takes one proof into the report; its error says why it does not count.
func (r *sloReport) count(ctx context.Context, d *Deps, v evidence.Verifier, c *contract.Contract, file string) error {
	raw, err := d.read(file)
	if err != nil {
		return err
	}
	found, err := v.Verify(ctx, raw)
	p := found.Statement.Predicate
	if p.Where.Name != "" && p.Where.Name != d.Env && (err == nil || errors.Is(err, fault.Inconclusive)) {
		return nil
	}
	if err != nil {
		return err
	}
	id, isSLO := strings.CutPrefix(p.Check, slo.Prefix)
	i := slices.IndexFunc(r.Objectives, func(o reportedObjective) bool { return o.Objective == id })
	if !isSLO || i < 0 {
		return nil
	}
	_, m, err := slo.Recall(c, id, p.Result.Evidence)
	if err != nil {
		return err
	}
	o := &r.Objectives[i]
	o.Proofs[m.Verdict]++
	if p.At.Before(o.newest) {
		return nil
	}
	o.newest, o.At, o.AgeS = p.At, p.At.Format(rfc3339), math.Round(d.now().Sub(p.At).Seconds())
	o.Verdict, o.Measured, o.Proof = m.Verdict, &m, relative(file)
	return nil
}

// elsewhereBlock names the objectives that other commands prove, so that nobody takes this list for the whole.
func (r *sloReport) elsewhereBlock() term.Block {
	rows := term.Rows{Columns: []string{"not of latency", "proven by"}}
	for _, id := range sortedKeys(r.elsewhere) {
		rows.Rows = append(rows.Rows, term.Row(id, r.elsewhere[id]+" --env "+r.Env))
	}
	return rows
}

func (r *sloReport) blocks() []term.Block {
	rows := term.Rows{Columns: []string{"objective", "verdict", "measured", "bounds", "requests", "made", "proofs", "newest"}, Empty: "the contract declares no objective"}
	for _, o := range r.Objectives {
		if o.Measured == nil {
			rows.Rows = append(rows.Rows, []term.Text{term.T(o.Title), term.Mark(term.Inconclusive), term.DimText("not proven yet"), term.T(""), term.T(""), term.T(""), term.T(""), term.DimText("cogctl slo prove " + o.Objective + " --env " + r.Env)})
			continue
		}
		m := o.Measured
		rows.Rows = append(rows.Rows, []term.Text{
			term.T(o.Title), term.Mark(term.Verdict(o.Verdict)), term.T(ms(m.QuantileMS)), term.T("[" + ms(m.LowerMS) + ", " + ms(m.UpperMS) + "]"), term.T(fmt.Sprint(m.Judged)), term.T(o.At),
			term.T(fmt.Sprintf("%d pass, %d fail, %d open", o.Proofs[audit.Pass], o.Proofs[audit.Fail], o.Proofs[audit.Inconclusive])), term.DimText(o.Proof),
		})
	}
	blocks := []term.Block{headline(r.Verdict, "latency objectives of "+r.Env+", by their newest proofs"), rows, r.elsewhereBlock()}
	if len(r.Uncounted) > 0 {
		not := term.Rows{Columns: []string{"not counted", "because"}}
		for _, u := range r.Uncounted {
			not.Rows = append(not.Rows, term.Row(u.File, u.Reason))
		}
		blocks = append(blocks, not)
	}
	return blocks
}
