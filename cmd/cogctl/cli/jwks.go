package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/internal/term"
)

func newJWKS(d *Deps) *cobra.Command {
	return newGroup("jwks", "Look at the keys that sign tokens, and rotate them", "  cogctl jwks rotate --plan\n  cogctl jwks status\n  cogctl jwks show --verify",
		newJWKSRotate(d), newJWKSStatus(d), newJWKSResume(d), newJWKSRevoke(d), newJWKSVerify(d), newJWKSList(d), newJWKSShow(d))
}

// jwksResult is the published set; the verdict is about the set, and about a fresh token when one was asked for.
type jwksResult struct {
	*jwks.Set
	Verdict  audit.Verdict   `json:"verdict"`
	Verified *jwks.Token     `json:"verified_token,omitempty"`
	Findings []audit.Finding `json:"findings"`
}

func newJWKSShow(d *Deps) *cobra.Command {
	var verify bool
	cmd := &cobra.Command{
		Use: "show", Short: "Show the published keys with their thumbprints", Args: cobra.NoArgs,
		Example: "  cogctl jwks show --env production\n  cogctl jwks show --verify     # also verify a fresh guest token",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runJWKSShow(cmd.Context(), d, verify)
			if err != nil {
				return err
			}
			if err := d.Term.Print(jwksReport(result)); err != nil {
				return err
			}
			return result.Verdict.Err()
		},
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "ask for a guest token and verify it with these keys")
	return cmd
}

func runJWKSShow(ctx context.Context, d *Deps, verify bool) (*jwksResult, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	set, err := jwks.Fetch(ctx, t)
	if err != nil {
		return nil, err
	}
	r := &jwksResult{Set: set, Findings: set.Judge(t.Contract.Auth)}
	if verify {
		text, err := jwks.Guest(ctx, t, "")
		if err != nil {
			return nil, err
		}
		token, wrong, err := jwks.Inspect(text, set, rules(t, "/auth/guest"))
		if err != nil {
			return nil, err
		}
		r.Verified, r.Findings = &token, append(r.Findings, wrong...)
	}
	conclusion := audit.Conclude("", r.Findings, nil)
	r.Verdict, r.Findings = conclusion.Verdict, conclusion.Findings
	return r, nil
}

func rules(t *audit.Target, path string) jwks.Rules {
	return jwks.Rules{Auth: t.Contract.Auth, Issuer: t.Issuer, Now: t.Now(), URL: t.PublicURL(path)}
}

func jwksReport(r *jwksResult) term.Report {
	rows := term.Rows{Columns: []string{"kid", "alg", "use", "bits", "thumbprint (rfc 7638)"}, Empty: "no keys"}
	for _, k := range r.Keys {
		rows.Rows = append(rows.Rows, term.Row(k.KID, k.Alg, k.Use, fmt.Sprint(k.Bits), k.Thumbprint))
	}
	report := term.Report{Schema: "cogctl/jwks.show/v1", Data: r, Blocks: []term.Block{headline(r.Verdict, r.URL+"  "+r.CacheControl), rows}}
	if r.Verified != nil && r.Verified.Verified {
		report.Blocks = append(report.Blocks, term.Headline(term.Pass, "a fresh guest token verifies with kid "+r.Verified.KID))
	}
	if len(r.Findings) > 0 {
		report.Blocks = append(report.Blocks, findingRows(r.Findings, "got", "want"))
		report.Blocks = append(report.Blocks, hintLines(r.Findings)...)
	}
	return report
}
