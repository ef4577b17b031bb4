package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

func newPolicy(d *Deps) *cobra.Command {
	return newGroup("policy", "What no deployment may do: judge by it, test it, explain it", "  cogctl policy check\n  cogctl policy explain deny_previews",
		newPolicyCheck(d), newPolicyTest(d), newPolicyExplain(d))
}

// policyRule is a rule with what people ask about it.
type policyRule struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Why     string `json:"why"`
	Owner   string `json:"owner"`
	Fix     string `json:"fix"`
	File    string `json:"file"`
	Example string `json:"example"`
}

func policyRules(ctx context.Context, d *Deps) ([]policyRule, error) {
	l, err := d.layout()
	if err != nil {
		return nil, err
	}
	var answer struct {
		Rules []policyRule `json:"rules"`
	}
	return answer.Rules, platform.Policy(ctx, l, "rules", nil, &answer)
}

func newPolicyExplain(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "explain [rule]", Short: "Say what a rule is for, what it denies and how to put it right; without one, list them", Args: cobra.MaximumNArgs(1),
		Example: "  cogctl policy explain\n  cogctl policy explain deny_secret_value",
		RunE: func(cmd *cobra.Command, args []string) error {
			rules, err := policyRules(cmd.Context(), d)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if rules, err = theRule(rules, args[0]); err != nil {
					return err
				}
			}
			data := struct {
				Rules []policyRule `json:"rules"`
			}{rules}
			blocks := ruleList(rules)
			if len(args) == 1 {
				blocks = ruleBlocks(rules[0])
			}
			return d.Term.Print(term.Report{Schema: "cogctl/policy.explain/v1", Data: data, Blocks: blocks})
		},
	}
}

// theRule finds a rule by its name, with or without what says that it denies.
func theRule(rules []policyRule, name string) ([]policyRule, error) {
	bare := func(s string) string { return strings.TrimPrefix(strings.TrimPrefix(s, "stack_"), "deny_") }
	i := slices.IndexFunc(rules, func(r policyRule) bool { return r.Name == name || bare(r.Name) == bare(name) })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "no rule is called %q", name).WithHint("cogctl policy explain lists them")
	}
	return rules[i : i+1], nil
}

func ruleList(rules []policyRule) []term.Block {
	rows := term.Rows{Columns: []string{"rule", "what holds"}}
	for _, r := range rules {
		rows.Rows = append(rows.Rows, term.Row(r.Name, r.Title))
	}
	return []term.Block{rows}
}

func ruleBlocks(r policyRule) []term.Block {
	blocks := []term.Block{
		term.Line{term.Text{Text: r.Title, Tone: term.Strong}},
		term.Facts{
			{Name: "rule", Value: term.T(r.Name)}, {Name: "why", Value: term.T(r.Why)}, {Name: "owner", Value: term.T(r.Owner)},
			{Name: "fix", Value: term.T(r.Fix)}, {Name: "source", Value: term.T("policies/" + r.File)},
		},
		term.Line{term.T("What it denies, in the words of its test:")},
	}
	for _, line := range strings.Split(strings.ReplaceAll(r.Example, "\t", "  "), "\n") {
		blocks = append(blocks, term.Line{term.DimText("  " + line)})
	}
	return blocks
}

// policyTest is what became of one test of the rules.
type policyTest struct {
	Name  string `json:"name"`
	File  string `json:"file"`
	Holds bool   `json:"holds"`
}

func newPolicyTest(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "test", Short: "Run the rules' own tests", Args: cobra.NoArgs, Example: "  cogctl policy test",
		Long: "Run the rules' own tests, as they were built into bin/stacks: `make setup` builds it anew after a rule was changed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := d.layout()
			if err != nil {
				return err
			}
			var answer struct {
				Tests []policyTest `json:"tests"`
			}
			if err := platform.Policy(cmd.Context(), l, "test", nil, &answer); err != nil {
				return err
			}
			failed := slices.DeleteFunc(slices.Clone(answer.Tests), func(t policyTest) bool { return t.Holds })
			if err := d.Term.Print(term.Report{Schema: "cogctl/policy.test/v1", Data: answer, Blocks: testBlocks(answer.Tests, failed)}); err != nil {
				return err
			}
			if len(failed) > 0 {
				return fault.Finding
			}
			return nil
		},
	}
}

func testBlocks(all, failed []policyTest) []term.Block {
	if len(failed) == 0 {
		return []term.Block{term.Headline(term.Pass, "all "+counted(len(all), "test")+" of the rules hold")}
	}
	rows := term.Rows{Columns: []string{"test", "source"}}
	for _, t := range failed {
		rows.Rows = append(rows.Rows, term.Row(t.Name, "policies/"+t.File))
	}
	return []term.Block{term.Headline(term.Fail, counted(len(failed), "test")+" of the rules do not hold"), rows}
}
