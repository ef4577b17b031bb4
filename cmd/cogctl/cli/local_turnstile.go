package cli

import (
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/localcloud/doubles"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

type turnstileResult struct {
	doubles.Challenge
	doubles.Solved
}

func newLocalTurnstile(d *Deps) *cobra.Command {
	var o doubles.Challenge
	cmd := &cobra.Command{
		Use: "turnstile", Short: "Print a Turnstile response, alone, as a page gets one when a person passes", Args: cobra.NoArgs,
		Long: "Print a Turnstile response, alone, as a page gets one when a person passes: of the double on this machine, whose siteverify takes it once, for five minutes. With a --sitekey of\n" +
			"Cloudflare's for tests it is their dummy response, which only their secrets for tests take.",
		Example: "  cogctl token guest --turnstile \"$(cogctl local turnstile)\"\n  cogctl local turnstile --hostname evil.example",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := runLocalTurnstile(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			if d.Term.Format() == term.JSON {
				return d.Term.Print(term.Report{Schema: "cogctl/local.turnstile/v1", Data: r})
			}
			_, err = fmt.Fprintln(d.Term.Out(), r.Response)
			return err
		},
	}
	cmd.Flags().StringVar(&o.Hostname, "hostname", "", "of the page (default: the contract's first allowed origin)")
	cmd.Flags().StringVar(&o.Action, "action", "", "what the widget is for (default: the contract's)")
	cmd.Flags().StringVar(&o.CData, "cdata", "", "what the page adds")
	cmd.Flags().StringVar(&o.Sitekey, "sitekey", "", "one of Cloudflare's for tests, instead of a widget of this account")
	return cmd
}

func runLocalTurnstile(ctx context.Context, d *Deps, o doubles.Challenge) (*turnstileResult, error) {
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	l, err := d.layout()
	if err != nil {
		return nil, err
	}
	if o.Action == "" {
		o.Action = c.Auth.Turnstile.Action
	}
	if origins := c.Envs[localEnv].Origins; o.Hostname == "" && len(origins) > 0 {
		if page, err := url.Parse(origins[0]); err == nil {
			o.Hostname = page.Hostname()
		}
	}
	solved, err := platform.SolveTurnstile(ctx, l, o)
	return &turnstileResult{o, solved}, err
}
