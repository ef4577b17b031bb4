package cli

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// The sides of a diff that are no files; either may name an environment: live:staging.
const (
	sideLive     = "live"
	sideDeclared = "declared"
)

// diffSide is one of the two that were compared.
type diffSide struct {
	Source  string `json:"source"`
	Env     string `json:"env"`
	Account string `json:"account_id"`
	At      string `json:"at"`
	Digest  string `json:"digest,omitempty"`
}

type diffResult struct {
	A diffSide `json:"a"`
	B diffSide `json:"b"`
	*snapshot.Difference
}

func newEnvDiff(d *Deps) *cobra.Command {
	var ignore []string
	cmd := &cobra.Command{
		Use: "diff [a] [b]", Short: "Tell in what two states of the platform differ; a difference is exit code 1", Args: cobra.MaximumNArgs(2),
		Long: "Tell in what two states of the platform differ, by meaning and with the path of every field. A side is a snapshot's file, live (the account of --env as it is now) " +
			"or declared (what the contract says for --env); live:staging and declared:staging name another environment. Without sides, declared is compared with live: " +
			"that also finds what a refresh cannot see, such as a renamed KV namespace, a bucket that was deleted, or anything that nobody declared. Where a side's Workers see something else than the API says they have, that is a finding too.\n\n" +
			"Between two environments, what the contract gives each of its own (hostname, zone, issuer, origins) and what every account gives out (ids) is expected to differ, and counted apart.\n\n" +
			"Exit codes: 0 nothing differs but what is expected; 1 something does; 4 nothing does in what could be seen, and something could not be.",
		Example: "  cogctl env diff\n  cogctl env diff before.json live --env production\n  cogctl env diff staging.json production.json --ignore 'workers.*.serving'",
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := runEnvDiff(cmd.Context(), d, args, ignore)
			if err != nil {
				return err
			}
			if err := d.Term.Print(diffReport(result)); err != nil {
				return err
			}
			if result.Verdict == audit.Fail {
				return fault.Drift
			}
			return result.Verdict.Err()
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 1 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{sideLive, sideDeclared}, cobra.ShellCompDirectiveDefault
		},
	}
	cmd.Flags().StringArrayVar(&ignore, "ignore", nil, "path whose differences are accepted, with all below it; * is any text (repeatable)")
	return cmd
}

func runEnvDiff(ctx context.Context, d *Deps, sides, ignore []string) (*diffResult, error) {
	accepted, err := snapshot.Accept(ignore)
	if err != nil {
		return nil, err
	}
	switch len(sides) {
	case 0:
		sides = []string{sideDeclared, sideLive}
	case 1:
		sides = []string{sides[0], sideLive}
	}
	if sides[0] == "-" && sides[1] == "-" {
		return nil, fault.New(fault.Invalid, "stdin holds one snapshot, not two")
	}
	a, err := d.side(ctx, sides[0])
	if err != nil {
		return nil, err
	}
	b, err := d.side(ctx, sides[1])
	if err != nil {
		return nil, err
	}
	if isLive(sides[0]) && isLive(sides[1]) && a.Env != b.Env && a.Account == b.Account {
		return nil, fault.New(fault.Invalid, "%s and %s would both be read from account %s", a.Env, b.Env, a.Account).
			WithHint("take a snapshot of each with its own CLOUDFLARE_ACCOUNT_ID and token, and compare the files")
	}
	return &diffResult{sideOf(sides[0], a), sideOf(sides[1], b), snapshot.Diff(a, b, accepted)}, nil
}

func isLive(source string) bool {
	kind, _, _ := strings.Cut(source, ":")
	return kind == sideLive
}

// side reads one side of a diff.
func (d *Deps) side(ctx context.Context, source string) (*snapshot.Snapshot, error) {
	kind, env, named := strings.Cut(source, ":")
	if !named {
		env = d.Env
	}
	switch kind {
	case sideLive:
		return d.live(ctx, env)
	case sideDeclared:
		c, err := d.Contract()
		if err != nil {
			return nil, err
		}
		if _, ok := c.Envs[env]; !ok {
			return nil, fault.New(fault.NotFound, "environment %q is not in the contract", env).WithHint("one of: %s", strings.Join(sortedKeys(c.Envs), ", "))
		}
		return snapshot.Declared(c, env, d.now())
	}
	raw, err := d.read(source)
	if err != nil {
		return nil, &fault.Error{Kind: fault.KindOf(err), Msg: "", Err: err, Hint: "a side is a file, live, or declared"}
	}
	s, err := snapshot.Parse(raw)
	if err != nil {
		return nil, &fault.Error{Kind: fault.KindOf(err), Msg: source, Err: err, Hint: fault.HintOf(err)}
	}
	return s, nil
}

func sideOf(source string, s *snapshot.Snapshot) diffSide {
	return diffSide{Source: source, Env: s.Env, Account: s.Account, At: s.At.Format(rfc3339), Digest: s.Digest}
}

func diffReport(r *diffResult) term.Report {
	what := r.A.title() + " and " + r.B.title()
	report := term.Report{Schema: "cogctl/env.diff/v1", Data: r}
	switch r.Verdict {
	case audit.Fail:
		rows := term.Rows{Columns: []string{"change", "where", r.A.heading("was"), r.B.heading("is")}}
		for _, c := range r.Changes {
			rows.Rows = append(rows.Rows, term.Row(c.Op, c.Path, shown(c.Was), shown(c.Is)))
		}
		report.Blocks = []term.Block{headline(r.Verdict, counted(len(r.Changes), "difference")+" between "+what)}
		if len(r.Changes) == 0 {
			report.Blocks[0] = headline(r.Verdict, counted(len(r.Disagree), "place")+" where Workers do not see what the API says")
		}
		if len(r.Changes) > 0 {
			report.Blocks = append(report.Blocks, rows)
		}
		report.Blocks = append(report.Blocks, disagreementRows(r)...)
	case audit.Inconclusive:
		report.Blocks = []term.Block{headline(r.Verdict, "nothing differs between "+what+" in what could be seen")}
	default:
		report.Blocks = []term.Block{headline(r.Verdict, "nothing differs between "+what)}
	}
	if len(r.Expected) > 0 {
		report.Blocks = append(report.Blocks, expectedRows(r.Expected))
	}
	report.Blocks = append(report.Blocks, unseenLines(r.Unseen)...)
	if r.Verdict == audit.Fail && len(r.Changes) > 0 && r.A.Source == sideDeclared && r.B.Source == sideLive {
		report.Blocks = append(report.Blocks, term.Hint("what a deployment would put right: cogctl preview --refresh --env "+r.B.Env))
		if slices.ContainsFunc(r.Changes, func(c snapshot.Change) bool { return c.Op == "added" }) {
			report.Blocks = append(report.Blocks, term.Hint("what nobody declared may outlive a deployment: delete it, or accept it with --ignore and its path"))
		}
	}
	return report
}

// disagreementRows show what Workers see that the API does not say.
func disagreementRows(r *diffResult) []term.Block {
	if len(r.Disagree) == 0 {
		return nil
	}
	rows := term.Rows{Columns: []string{"in", "where", "the API says", "the Worker sees"}}
	for _, g := range r.Disagree {
		side := r.A
		if g.Side == "b" {
			side = r.B
		}
		rows.Rows = append(rows.Rows, term.Row(side.title(), g.Path, shown(g.Outside), shown(g.Inside)))
	}
	return []term.Block{rows, term.Hint("a Worker that sees what the API no longer says runs an older deployment, or its secret is empty: wait a moment, then set or deploy it again")}
}

// heading is live or declared, and for a file what its place among the two says.
func (s diffSide) heading(file string) string {
	switch kind, _, _ := strings.Cut(s.Source, ":"); kind {
	case sideLive, sideDeclared:
		return s.Source
	default:
		return file
	}
}

func (s diffSide) title() string {
	switch kind, _, _ := strings.Cut(s.Source, ":"); kind {
	case sideLive, sideDeclared:
		return kind + " " + s.Env
	default:
		return s.Source + " (" + s.Env + ", " + s.At + ")"
	}
}

// expectedRows counts what was expected by its reason: the reasons are few, and the differences are many.
func expectedRows(expected []snapshot.Change) term.Rows {
	count, example := map[string]int{}, map[string]string{}
	for _, c := range expected {
		if count[c.Why]++; count[c.Why] == 1 {
			example[c.Why] = c.Path
		}
	}
	rows := term.Rows{Columns: []string{"expected", "because", "such as"}}
	for _, why := range sortedKeys(count) {
		rows.Rows = append(rows.Rows, []term.Text{term.DimText(counted(count[why], "difference")), term.DimText(why), term.DimText(example[why])})
	}
	return rows
}

// shown is a value as it fits into a row.
func shown(v any) string {
	const most = 60
	text, isText := v.(string)
	if v == nil {
		return ""
	}
	if !isText {
		raw, err := json.Marshal(v)
		if err != nil {
			return err.Error()
		}
		text = string(raw)
	}
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + " …"
	}
	return text
}
