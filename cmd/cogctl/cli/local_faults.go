package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/doubles"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

const faultsSchema = "cogctl/local.faults/v1"

type faultsResult struct {
	DryRun    bool             `json:"dry_run"`
	Providers []doubles.Status `json:"providers"`
}

func newLocalFaults(d *Deps) *cobra.Command {
	return newGroup("faults", "What the doubles of model providers and Turnstile on this machine do wrong",
		"  cogctl local faults set groq --429 50% --delay lognormal:400ms\n  cogctl local faults list\n  cogctl local faults clear",
		newFaultsSet(d), newFaultsList(d), newFaultsClear(d))
}

func newFaultsList(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show what is set, and how many requests each provider got", Args: cobra.NoArgs, Example: "  cogctl local faults list --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := d.layout()
			if err != nil {
				return err
			}
			all, err := platform.Doubles(cmd.Context(), l)
			if err != nil {
				return err
			}
			return printFaults(d, faultsResult{Providers: all})
		},
	}
}

type faultsSetOptions struct {
	shares     map[doubles.Kind]*string
	delay      string
	retryAfter int
	after      int
	dryRun     bool
}

// faultHelp says in a few words what each kind of fault is to a caller.
var faultHelp = map[doubles.Kind]string{
	doubles.Refuse: "nobody listens (521)", doubles.DNS: "the name does not resolve (530)", doubles.TLS: "the handshake fails (525)",
	doubles.Reset: "the connection ends before the answer", doubles.Unauth: "the key is wrong", doubles.Unpaid: "the money is used up",
	doubles.Limited: "too many requests; see --retry-after", doubles.Broken: "the provider's own fault", doubles.SlowHeaders: "the answer does not begin",
	doubles.Stall: "the answer stands still; see --after", doubles.Cut: "the answer breaks off; see --after", doubles.Malformed: "the answer is no JSON; see --after",
	doubles.HTML: "the answer is a web page", doubles.Empty: "the answer says nothing",
}

func newFaultsSet(d *Deps) *cobra.Command {
	o := faultsSetOptions{shares: map[doubles.Kind]*string{}}
	cmd := &cobra.Command{
		Use: "set <provider>", Short: "Have a provider go wrong, instead of what was set for it before", Args: cobra.ExactArgs(1), ValidArgsFunction: completeProvider,
		Long: "Have a provider go wrong, instead of what was set for it before. Each kind of fault takes the share of requests that it befalls; shares are dealt out evenly,\n" +
			"the same way in every run. What is set ends with the local cloud.",
		Example: "  cogctl local faults set groq --429 50% --delay lognormal:400ms\n  cogctl local faults set openai --cut 100% --after 4\n  cogctl local faults set cfai --402 1",
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := runFaultsSet(cmd.Context(), d, args[0], o)
			if err != nil {
				return err
			}
			return printFaults(d, result)
		},
	}
	for _, k := range doubles.Kinds() {
		o.shares[k] = cmd.Flags().String(string(k), "", "share of requests: "+faultHelp[k])
	}
	cmd.Flags().StringVar(&o.delay, "delay", "", "before each answer: 200ms, uniform:100ms-300ms, lognormal:400ms[:0.5]")
	cmd.Flags().IntVar(&o.retryAfter, "retry-after", 0, "seconds that a 429 asks to wait; 0 for none")
	cmd.Flags().IntVar(&o.after, "after", 0, "events that a stream sends before it goes wrong")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would be set, and set nothing")
	return cmd
}

func runFaultsSet(ctx context.Context, d *Deps, provider string, o faultsSetOptions) (faultsResult, error) {
	p := doubles.Plan{Faults: []doubles.Fault{}, Delay: o.delay, RetryAfterS: o.retryAfter, After: o.after}
	for _, k := range doubles.Kinds() {
		text := *o.shares[k]
		if text == "" {
			continue
		}
		share, err := parseShare(text)
		if err != nil {
			return faultsResult{}, fault.New(fault.Invalid, "--%s %s: %w", k, text, err)
		}
		p.Faults = append(p.Faults, doubles.Fault{Kind: k, Share: share})
	}
	if !slices.Contains(doubles.Providers(), provider) {
		return faultsResult{}, fault.New(fault.Invalid, "provider %q has no double", provider).WithHint("one of: %s", strings.Join(doubles.Providers(), ", "))
	}
	if err := p.Check(); err != nil {
		return faultsResult{}, err
	}
	return replan(ctx, d, []string{provider}, p, o.dryRun)
}

// parseShare reads 50%, 0.5 or 1.
func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fault.New(fault.Invalid, "want a share such as 50%% or 0.5")
	}
	if percent {
		share /= 100
	}
	return share, nil
}

// replan sets a plan for some providers, or only says what would be.
func replan(ctx context.Context, d *Deps, providers []string, p doubles.Plan, dryRun bool) (faultsResult, error) {
	l, err := d.layout()
	if err != nil {
		return faultsResult{}, err
	}
	all, err := platform.Doubles(ctx, l)
	for i := 0; err == nil && i < len(all); i++ {
		if !slices.Contains(providers, all[i].Provider) {
			continue
		}
		if dryRun {
			all[i].Plan = p
		} else {
			all, err = platform.PlanDouble(ctx, l, all[i].Provider, p)
		}
	}
	return faultsResult{DryRun: dryRun, Providers: all}, err
}

func newFaultsClear(d *Deps) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "clear [provider]", Short: "Have a provider, or all of them, be well again; the counts stay", Args: cobra.MaximumNArgs(1), ValidArgsFunction: completeProvider,
		Example: "  cogctl local faults clear groq\n  cogctl local faults clear",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && !slices.Contains(doubles.Providers(), args[0]) {
				return fault.New(fault.Invalid, "provider %q has no double", args[0]).WithHint("one of: %s", strings.Join(doubles.Providers(), ", "))
			}
			if len(args) == 0 {
				args = doubles.Providers()
			}
			result, err := replan(cmd.Context(), d, args, doubles.Plan{Faults: []doubles.Fault{}}, dryRun)
			if err != nil {
				return err
			}
			return printFaults(d, result)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be set, and set nothing")
	return cmd
}

func completeProvider(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return doubles.Providers(), cobra.ShellCompDirectiveNoFileComp
}

func printFaults(d *Deps, result faultsResult) error {
	rows := term.Rows{Columns: []string{"provider", "faults", "delay", "requests", "of which befallen", "by model"}}
	for _, s := range result.Providers {
		rows.Rows = append(rows.Rows, []term.Text{
			term.T(s.Provider), planText(s.Plan), term.T(orDash(s.Plan.Delay)), term.T(strconv.Itoa(s.Requests)), term.T(countsText(s.Faults)), term.T(countsText(s.Models)),
		})
	}
	var blocks []term.Block
	if result.DryRun {
		blocks = append(blocks, term.Line{term.T("Nothing was set. It would be:")})
	}
	return d.Term.Print(term.Report{Schema: faultsSchema, Data: result, Blocks: append(blocks, rows)})
}

func planText(p doubles.Plan) term.Text {
	if len(p.Faults) == 0 {
		return term.DimText("none")
	}
	parts := make([]string, 0, len(p.Faults)+2)
	for _, f := range p.Faults {
		parts = append(parts, fmt.Sprintf("%s %g%%", f.Kind, f.Share*100))
	}
	if p.RetryAfterS > 0 {
		parts = append(parts, fmt.Sprintf("retry-after %d s", p.RetryAfterS))
	}
	if p.After > 0 {
		parts = append(parts, fmt.Sprintf("after %d events", p.After))
	}
	return term.T(strings.Join(parts, ", "))
}

func countsText[K ~string](counts map[K]int) string {
	parts := make([]string, 0, len(counts))
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, counts[k]))
	}
	return orDash(strings.Join(parts, ", "))
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
