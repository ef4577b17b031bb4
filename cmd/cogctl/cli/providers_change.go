package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
)

// changeOptions is what every change of the providers takes.
type changeOptions struct {
	model, reason, actor, keyFile string
	dryRun                        bool
}

func (o *changeOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.reason, "reason", "", "why; it is kept with the change")
	f.StringVar(&o.actor, "actor", "", "who; it is kept with the change (default: you, by $USER)")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be changed, and change nothing")
	keyFileFlag(cmd, &o.keyFile)
	must(cmd.MarkFlagRequired("reason"))
}

// change does what a body says, once it is known which models it is about; a dry run only says so.
func (d *Deps) change(ctx context.Context, o changeOptions, body map[string]any, plan func(*providersResult) ([]string, error)) error {
	now, err := d.providers(ctx, o.keyFile, nil)
	if err != nil {
		return err
	}
	if now.Done, err = plan(now); err != nil {
		return err
	}
	if o.dryRun {
		now.DryRun = true
		return printProviders(d, now)
	}
	body["why"], body["by"] = o.reason, d.actor(o.actor)
	done, err := d.providers(ctx, o.keyFile, body)
	if err != nil {
		return err
	}
	return printProviders(d, done)
}

// meant are the models of a provider, or the one that is named; all there are for no provider.
func (r *providersResult) meant(provider, model string) ([]string, error) {
	var names, all []string
	for _, m := range r.Models {
		all = append(all, m.name())
		if (provider == "" || m.Provider == provider) && (model == "" || m.Model == model) {
			names = append(names, m.name())
		}
	}
	if len(names) == len(all) {
		return []string{"every model"}, nil
	}
	if len(names) == 0 {
		return nil, fault.New(fault.Invalid, "no model of the contract is meant by %s %s", provider, model).WithHint("one of: %s", strings.Join(all, ", "))
	}
	return names, nil
}

func newProvidersTrip(d *Deps) *cobra.Command {
	var o changeOptions
	var lasting time.Duration
	cmd := &cobra.Command{
		Use: "trip PROVIDER", Short: "Leave a provider, or one of its models, alone for a time", Args: cobra.ExactArgs(1), ValidArgsFunction: d.completeProviders,
		Long: "Leave a provider, or one of its models, alone for a time: it gets no request, whatever its breaker says, and the next one of each tier is asked. When the time is over it is asked again by itself. " +
			"It holds at once where it is said and everywhere within the bound that is printed; who, why and when are kept.",
		Example: "  cogctl providers trip groq --for 1h --reason \"their status page says so\"\n  cogctl providers trip openai --model gpt-4o --for 24h --reason \"too dear today\" --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"action": "trip", "provider": args[0], "seconds": int(lasting.Seconds())}
			if o.model != "" {
				body["model"] = o.model
			}
			if lasting < time.Second || lasting > maxTrip {
				return fault.New(fault.Invalid, "--for %s: want 1s to %s", lasting, maxTrip).WithHint("to take a provider out for good, edit contract/models.json and deploy")
			}
			return d.change(cmd.Context(), o, body, func(r *providersResult) ([]string, error) { return r.meant(args[0], o.model) })
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.model, "model", "", "this model alone")
	cmd.Flags().DurationVar(&lasting, "for", time.Hour, "how long")
	return cmd
}

// maxTrip is as long as the platform holds a word about a provider.
const maxTrip = 30 * 24 * time.Hour

func newProvidersReset(d *Deps) *cobra.Command {
	var o changeOptions
	cmd := &cobra.Command{
		Use: "reset [PROVIDER]", Short: "Have a provider, or all, be asked again now", Args: cobra.MaximumNArgs(1), ValidArgsFunction: d.completeProviders,
		Long: "Have a provider, one of its models, or all be asked again now, whether they were tripped by hand or their breakers opened by themselves: after a key was set anew, or a bill was paid. " +
			"One that still fails is left alone again after a few requests.",
		Example: "  cogctl providers reset groq --reason \"key replaced\"\n  cogctl providers reset --reason \"over\" --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			body, provider := map[string]any{"action": "reset"}, ""
			if len(args) == 1 {
				provider = args[0]
				body["provider"] = provider
			} else if o.model != "" {
				return fault.New(fault.Invalid, "--model takes its provider before it")
			}
			if o.model != "" {
				body["model"] = o.model
			}
			return d.change(cmd.Context(), o, body, func(r *providersResult) ([]string, error) { return r.meant(provider, o.model) })
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.model, "model", "", "this model alone")
	return cmd
}

func newProvidersOrder(d *Deps) *cobra.Command {
	var o changeOptions
	var contracts bool
	cmd := &cobra.Command{
		Use: "order TIER [PROVIDER,...]", Short: "Change whom a tier asks first, without a deploy; or give the contract's order back", Args: cobra.RangeArgs(1, 2), ValidArgsFunction: d.completeTier,
		Long: "Change whom a tier asks first, without a deploy, until --contract gives the contract's order back. Every provider of the tier is named once; to leave one out, trip it. " +
			"A question that names a provider or a model goes there first all the same. The order holds at once where it is said and everywhere within the bound that is printed, and outlives deployments: " +
			"once it is to stay, write it into contract/models.json.",
		Example: "  cogctl providers order human cfai,groq,openai --reason \"Groq is slow today\"\n  cogctl providers order human --contract --reason over",
		RunE: func(cmd *cobra.Command, args []string) error {
			if contracts == (len(args) == 2) {
				return fault.New(fault.Invalid, "give an order, such as groq,cfai,openai, or --contract")
			}
			providers := []string{}
			if !contracts {
				providers = strings.Split(args[1], ",")
			}
			body := map[string]any{"action": "order", "tier": args[0], "providers": providers}
			return d.change(cmd.Context(), o, body, func(r *providersResult) ([]string, error) { return r.reordered(args[0], providers) })
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&contracts, "contract", false, "the contract's own order again")
	return cmd
}

// reordered says what an order would come to, or what is wrong with it.
func (r *providersResult) reordered(tier string, providers []string) ([]string, error) {
	i := slices.IndexFunc(r.Tiers, func(t providerTier) bool { return t.Tier == tier })
	if i < 0 {
		return nil, fault.New(fault.Invalid, "no tier is called %q", tier)
	}
	var own []string
	for _, m := range r.Tiers[i].Contract {
		if !slices.Contains(own, m.Provider) {
			own = append(own, m.Provider)
		}
	}
	if len(providers) == 0 {
		return []string{fmt.Sprintf("%s: as in the contract (%s)", tier, strings.Join(own, ", "))}, nil
	}
	if !slices.Equal(slices.Sorted(slices.Values(own)), slices.Sorted(slices.Values(providers))) {
		return nil, fault.New(fault.Invalid, "%s is not an order of tier %s", strings.Join(providers, ","), tier).WithHint("each of %s once; `cogctl providers trip` takes one out", strings.Join(own, ", "))
	}
	return []string{tier + ": " + strings.Join(providers, ", ")}, nil
}

func (d *Deps) completeProviders(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := d.Contract()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sortedKeys(c.Models.Providers), cobra.ShellCompDirectiveNoFileComp
}

func (d *Deps) completeTier(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := d.Contract()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sortedKeys(c.Models.Tiers), cobra.ShellCompDirectiveNoFileComp
}
