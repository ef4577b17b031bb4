package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/internal/rotation"
	"github.com/cognomega/edge/internal/term"
)

// keyVerifyResult holds what is said of the keys against what is so.
type keyVerifyResult struct {
	Env      string          `json:"env"`
	Verdict  audit.Verdict   `json:"verdict"`
	Findings []audit.Finding `json:"findings"`
	*rotation.Status
}

func newJWKSVerify(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "Hold the rotation's document, KV, the served keys and a fresh token against each other", Args: cobra.NoArgs,
		Long: "Hold the rotation's document, what KV holds, what the edge serves and what signs a fresh token against each other. It writes nothing.\n\n" +
			"Exit codes: 0 they agree; 1 a finding: a key that no rotation published, one that is not served or served for too long, another signer than the document names, a step that nobody takes.",
		Example: "  cogctl jwks verify --env production",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runJWKSVerify(cmd.Context(), d)
			if err != nil {
				return err
			}
			if err := d.Term.Print(keyVerifyReport(result)); err != nil {
				return err
			}
			return result.Verdict.Err()
		},
	}
}

func runJWKSVerify(ctx context.Context, d *Deps) (*keyVerifyResult, error) {
	r, _, err := d.rotator(ctx, waitOptions{})
	if err != nil {
		return nil, err
	}
	status, problems, err := r.Verify(ctx)
	if err != nil {
		return nil, err
	}
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	set, err := jwks.Fetch(ctx, t)
	if err != nil {
		return nil, err
	}
	findings := set.Judge(t.Contract.Auth)
	for _, p := range problems {
		findings = append(findings, audit.Finding{
			Severity: audit.Error, Code: p.Code, URL: t.PublicURL(jwks.Path), Message: p.Message, Hint: p.Hint, Resource: audit.Resource{Kind: "jwk", ID: p.KID, Name: p.KID},
		})
	}
	c := audit.Conclude("", findings, nil)
	return &keyVerifyResult{d.Env, c.Verdict, c.Findings, status}, nil
}

func keyVerifyReport(r *keyVerifyResult) term.Report {
	what := "the document, KV, the edge and the signer agree"
	if r.Verdict != audit.Pass {
		what = counted(len(r.Findings), "finding")
	}
	report := term.Report{Schema: "cogctl/jwks.verify/v1", Data: r, Blocks: []term.Block{headline(r.Verdict, what), heldRows(r.Status)}}
	if len(r.Findings) > 0 {
		report.Blocks = append(report.Blocks, findingRows(r.Findings, "got", "want"))
		report.Blocks = append(report.Blocks, hintLines(r.Findings)...)
	}
	return report
}
