package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/gate"
	"github.com/cognomega/edge/audit/promotion"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// trustOptions is which evidence is looked at, and whose is believed.
type trustOptions struct {
	proofs, keys []string
}

func (o *trustOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.proofs, "proofs", nil, "folder of proofs, instead of proofs/ (repeatable)")
	cmd.Flags().StringArrayVar(&o.keys, "key", nil, "file or folder of public keys to believe, instead of this machine's (repeatable)")
	must(cmd.MarkFlagDirname("proofs"))
}

type gateOptions struct {
	trustOptions
	explain bool
}

func newGate(d *Deps) *cobra.Command {
	var o gateOptions
	cmd := &cobra.Command{
		Use: "gate [name]", Short: "Decide from the kept proofs whether something may be done", Args: cobra.MaximumNArgs(1), ValidArgsFunction: d.completeGate,
		Long: "Decide from the kept proofs whether something may be done. A gate is a list of proofs, each with the age it may have (contract/gates.json). Nothing is asked of the account: " +
			"every proof is verified, judged again from its own data, and must be of the gate's environment, contract and one set of bundles. The newest proof of a check decides, also when it is one that cannot be believed.\n\n" +
			"Without a name it lists the gates.\n\nExit codes: 0 open; 5 shut; 2 no such gate.",
		Example: "  cogctl gate phase0\n  cogctl gate promote --explain --proofs staging-proofs --key staging.pem",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listGates(d)
			}
			decision, err := runGate(cmd.Context(), d, o.trustOptions, args[0])
			if err != nil {
				return err
			}
			result := gateResult{Decision: decision}
			if result.Unfinished, err = d.unfinishedBehind(decision, o.trustOptions); err != nil {
				return err
			}
			blocks := append(gateBlocks(decision, o.explain), unfinishedBlocks(result.Unfinished)...)
			if err := d.Term.Print(term.Report{Schema: "cogctl/gate/v1", Data: result, Blocks: blocks}); err != nil {
				return err
			}
			if !decision.Open {
				return fault.Refused
			}
			return nil
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.explain, "explain", false, "show the chain of evidence: files, keys, digests, ages and what each verdict follows from")
	return cmd
}

// gateResult is what a gate decides. A promotion that is unfinished does not shut it: going on with it is the way out.
type gateResult struct {
	*gate.Decision
	Unfinished *promotion.Unfinished `json:"unfinished,omitempty"`
}

// unfinishedBehind looks behind the gate that promotions go through, and the gates of where they go to.
func (d *Deps) unfinishedBehind(g *gate.Decision, o trustOptions) (*promotion.Unfinished, error) {
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	if p := c.Gates.Promotion; g.Gate == p.Gate || g.Env == p.To {
		return d.unfinished(p.To, o)
	}
	return nil, nil //nolint:nilnil // nothing is unfinished
}

func runGate(ctx context.Context, d *Deps, o trustOptions, name string) (*gate.Decision, error) {
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	if _, ok := c.Envs[d.Env]; !ok {
		return nil, d.unknownEnv(c)
	}
	ring, err := d.believed(o.keys)
	if err != nil {
		return nil, err
	}
	files, err := gate.Read(d.proofFolders(o)...)
	if err != nil {
		return nil, err
	}
	decision, err := gate.Decide(ctx, gate.Ask{
		Gate: name, Env: d.Env, Files: files, Now: d.now(), Trust: evidence.Verifier{Ring: ring, Checks: suite.For(c), Contract: c},
	})
	if err != nil {
		return nil, err
	}
	for i := range decision.Links {
		if f := decision.Links[i].File; f != "" {
			decision.Links[i].File = relative(f)
		}
	}
	return decision, nil
}

func (d *Deps) proofFolders(o trustOptions) []string {
	if len(o.proofs) > 0 {
		return o.proofs
	}
	return []string{d.proofs()}
}

func (d *Deps) completeGate(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := d.Contract()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sortedKeys(c.Gates.Gates), cobra.ShellCompDirectiveNoFileComp
}

// gateRow is a gate of the contract.
type gateRow struct {
	Name   string         `json:"name"`
	Why    string         `json:"why"`
	Env    string         `json:"env,omitempty"`
	Proofs map[string]int `json:"max_age_minutes"` // by check
}

func listGates(d *Deps) error {
	c, err := d.Contract()
	if err != nil {
		return err
	}
	rows := term.Rows{Columns: []string{"gate", "environment", "proofs", "why"}}
	data := struct {
		Gates []gateRow `json:"gates"`
	}{}
	for _, name := range sortedKeys(c.Gates.Gates) {
		g := c.Gates.Gates[name]
		row := gateRow{name, g.Why, g.Env, map[string]int{}}
		for check, r := range g.Proofs {
			row.Proofs[check] = r.MaxAgeMinutes
		}
		env := g.Env
		if env == "" {
			env = "that of --env"
		}
		data.Gates = append(data.Gates, row)
		rows.Rows = append(rows.Rows, term.Row(name, env, fmt.Sprint(len(g.Proofs)), g.Why))
	}
	return d.Term.Print(term.Report{Schema: "cogctl/gate.list/v1", Data: data, Blocks: []term.Block{rows}})
}

// gateBlocks shows what decides, and with explain the chain that it rests on.
func gateBlocks(g *gate.Decision, explain bool) []term.Block {
	verdict, word := term.Pass, "open"
	if !g.Open {
		verdict, word = term.Fail, "shut"
	}
	rows := term.Rows{Columns: []string{"proof", "state", "age", "found"}}
	for _, l := range g.Links {
		found := l.Because
		if found == "" {
			found = l.Summary
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(l.Check), stateMark(l.State), term.T(ages(l)), term.T(found)})
	}
	blocks := []term.Block{term.Headline(verdict, "gate "+g.Gate+" of "+g.Env+" is "+word), rows}
	for _, p := range g.Problems {
		blocks = append(blocks, term.Headline(term.Fail, p))
	}
	if explain {
		blocks = append(blocks, explainChain(g)...)
	}
	return append(blocks, gateHints(g)...)
}

func gateHints(g *gate.Decision) []term.Block {
	var blocks []term.Block
	seen := map[string]bool{"": true}
	for _, l := range g.Links {
		if !seen[l.Hint] {
			seen[l.Hint] = true
			blocks = append(blocks, term.Hint(l.Hint))
		}
	}
	return blocks
}

func stateMark(s gate.State) term.Text {
	mark := term.Sign(term.Fail)
	switch s {
	case gate.Met:
		mark = term.Sign(term.Pass)
	case gate.Inconclusive:
		mark = term.Sign(term.Inconclusive)
	}
	mark.Text += " " + string(s)
	return mark
}

// ages is how old a proof is, of how old it may be.
func ages(l gate.Link) string {
	most := time.Duration(l.MaxAgeMinutes) * time.Minute
	if l.At == nil {
		return "– of " + short(most)
	}
	return short(time.Duration(l.AgeSeconds)*time.Second) + " of " + short(most)
}

// short is a duration in its largest unit, as people say it.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + short(-d)
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// explainChain names what each answer rests on, down to digests that a stranger can compare.
func explainChain(g *gate.Decision) []term.Block {
	blocks := []term.Block{term.Facts{
		{Name: "why", Value: term.T(g.Why)}, {Name: "contract", Value: term.T("sha256 " + g.Contract)}, {Name: "decided at", Value: term.T(g.At.Format(rfc3339))},
	}}
	for _, l := range g.Links {
		facts := term.Facts{{Name: "proof", Value: term.Text{Text: l.Check, Tone: term.Strong}}}
		if l.File == "" {
			facts = append(facts, term.Fact{Name: "file", Value: term.DimText("none")})
		} else {
			facts = append(facts, term.Fact{Name: "file", Value: term.T(filepath.ToSlash(l.File))}, term.Fact{Name: "sha256", Value: term.DimText(l.SHA256)})
		}
		if l.Key != nil {
			facts = append(facts, term.Fact{Name: "signed by", Value: term.T(signedBy(*l.Key))}, term.Fact{Name: "key", Value: term.DimText(l.Key.ID)})
		}
		if l.At != nil {
			facts = append(facts, term.Fact{Name: "made", Value: term.T(l.At.Format(rfc3339) + ", " + ages(l))})
		}
		if l.Verdict != "" {
			facts = append(facts, term.Fact{Name: "its data says", Value: term.T(string(l.Verdict) + ": " + l.Summary)})
		}
		blocks = append(blocks, facts)
	}
	bundles := term.Facts{}
	for _, worker := range sortedKeys(g.Bundles) {
		bundles = append(bundles, term.Fact{Name: "bundle of " + worker, Value: term.T(g.Bundles[worker])})
	}
	return append(blocks, bundles)
}
