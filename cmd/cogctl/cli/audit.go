package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/internal/term"
)

func newAudit(d *Deps) *cobra.Command {
	return newGroup("audit", "Look for what is wrong on the live account", "  cogctl audit routes\n  cogctl audit cors\n  cogctl audit routes --env production --output json", newAuditRoutes(d), newAuditCors(d))
}

type routesOptions struct {
	host, zone, owner string
	account           bool
}

// routesResult is who owns a hostname, and every URL of it that somebody else does.
type routesResult struct {
	Verdict audit.Verdict `json:"verdict"`
	routes.Judgement
	Unseen   []routes.Unseen `json:"unseen"`
	Evidence *routes.Capture `json:"evidence"`
}

func newAuditRoutes(d *Deps) *cobra.Command {
	var o routesOptions
	cmd := &cobra.Command{
		Use: "routes", Short: "Check that exactly one Worker owns every URL of the hostname", Args: cobra.NoArgs,
		Long: "Check that exactly one Worker owns every URL of the hostname: over routes and null routes, custom domains, DNS records and their proxy, Pages projects, redirect rules, " +
			"and the workers.dev and preview switches. Every URL is decided, none is sampled; each finding names one that shows it.\n\n" +
			"It works on any account: give --host, with CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID. The token needs to read: Zone, DNS, Workers Routes, Workers Scripts; " +
			"and Pages and Dynamic URL Redirects, without which the verdict is inconclusive at best.",
		Example: "  cogctl audit routes\n  cogctl audit routes --host shop.example.com --expect-owner shop\n  cogctl audit routes --account\n  cogctl audit routes capture before.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.account {
				return auditAccount(cmd.Context(), d, o)
			}
			result, err := runAuditRoutes(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			if err := d.Term.Print(routesReport(result)); err != nil {
				return err
			}
			return result.Verdict.Err()
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.owner, "expect-owner", "", "Worker that should own the host (default: the contract's gateway)")
	cmd.Flags().BoolVar(&o.account, "account", false, "decide every hostname of every zone of the account: ties, dead routes, and who shares what")
	must(cmd.RegisterFlagCompletionFunc("expect-owner", d.completeWorker))
	cmd.AddCommand(newRoutesCapture(d), newRoutesCompare(d))
	return cmd
}

func (o *routesOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.host, "host", "", "hostname to look at (default: the environment's)")
	cmd.Flags().StringVar(&o.zone, "zone", "", "zone the host is in (default: found from the host)")
}

func runAuditRoutes(ctx context.Context, d *Deps, o routesOptions) (*routesResult, error) {
	t, err := d.lookAt(ctx, o.host, o.zone)
	if err != nil {
		return nil, err
	}
	progress := d.Term.Progress("reading routes, DNS and switches of " + t.Hostname)
	capture, err := routes.Collect(ctx, t.API, routes.AskFor(t))
	progress.Stop()
	if err != nil {
		return nil, err
	}
	expect := routes.ExpectFor(t)
	if o.owner != "" {
		expect.Owner = o.owner
	}
	j := routes.Judge(capture, expect)
	return &routesResult{Verdict: j.Verdict(capture), Judgement: j, Unseen: capture.Unseen, Evidence: capture}, nil
}

func routesReport(r *routesResult) term.Report {
	report := term.Report{Schema: "cogctl/audit.routes/v1", Data: r}
	if len(r.Findings) == 0 {
		report.Blocks = append(report.Blocks, headline(r.Verdict, "one Worker owns https://"+r.Host+"/*"),
			term.Facts{{Name: "owner", Value: term.T(r.Judgement.Summary())}, {Name: "decided", Value: term.T(counted(r.Regions, "region") + " of URLs, over http and https")}})
	} else {
		report.Blocks = append(report.Blocks, headline(r.Verdict, counted(len(r.Findings), "finding")+" on "+r.Host), findingRows(r.Findings, "answered by", "expected"))
	}
	for _, u := range r.Unseen {
		report.Blocks = append(report.Blocks, term.Headline(term.Inconclusive, "not seen: "+u.What+": "+u.Why), term.Hint(u.Hint))
	}
	report.Blocks = append(report.Blocks, hintLines(r.Findings)...)
	return report
}
