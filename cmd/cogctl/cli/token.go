package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

const rfc3339 = time.RFC3339

func newToken(d *Deps) *cobra.Command {
	return newGroup("token", "Get tokens and look into them", "  curl -H \"Authorization: Bearer $(cogctl token guest)\" …\n  cogctl token guest | cogctl token inspect",
		newTokenGuest(d), newTokenMint(d), newTokenInspect(d), newTokenIntrospect(d), newTokenRevoke(d))
}

func newTokenGuest(d *Deps) *cobra.Command {
	var turnstile string
	cmd := &cobra.Command{
		Use: "guest", Short: "Print a fresh guest token, alone", Args: cobra.NoArgs,
		Long:    "Print a fresh guest token, alone. Where guests have to pass Turnstile, give the response that a page got of it: it counts once, and is used up by this call.",
		Example: "  cogctl token guest | cogctl token inspect\n  cogctl token guest --turnstile \"$(cogctl local turnstile)\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := d.Target(cmd.Context(), d.Env)
			if err != nil {
				return err
			}
			text, err := jwks.Guest(cmd.Context(), t, turnstile)
			if err != nil {
				return withTurnstileHint(d, err)
			}
			return printToken(d, text)
		},
	}
	cmd.Flags().StringVar(&turnstile, "turnstile", "", "a Turnstile response, where guests need one")
	return cmd
}

// withTurnstileHint says how to get past Turnstile where it refused.
func withTurnstileHint(d *Deps, err error) error {
	switch {
	case !strings.Contains(err.Error(), "turnstile_"):
		return err
	case strings.Contains(err.Error(), "turnstile_unavailable"):
		return fault.New(fault.Unavailable, "%w", err).WithHint("Turnstile cannot be asked, or does not know TURNSTILE_SECRET: cogctl local faults list, cogctl local logs auth-svc; nobody gets in meanwhile")
	case d.Env == localEnv:
		return fault.New(fault.KindOf(err), "%w", err).WithHint(`cogctl token guest --turnstile "$(cogctl local turnstile)"`)
	}
	return fault.New(fault.KindOf(err), "%w", err).WithHint("give a fresh response of the widget on an allowed page with --turnstile, or mint a user's token: cogctl token mint")
}

// printToken writes the token alone, or as a document when one was asked for.
func printToken(d *Deps, text string) error {
	if d.Term.Format() == term.JSON {
		return d.Term.Print(term.Report{Schema: "cogctl/token/v1", Data: struct {
			Token string `json:"token"`
		}{text}})
	}
	_, err := fmt.Fprintln(d.Term.Out(), text)
	return err
}

type mintOptions struct {
	claim   jwks.Claim
	keyFile string
}

func newTokenMint(d *Deps) *cobra.Command {
	var o mintOptions
	cmd := &cobra.Command{
		Use: "mint", Short: "Print a user's token, alone; needs the admin key", Args: cobra.NoArgs,
		Long:    "Print a user's token, alone. The admin key is read from --admin-key-file, or COGCTL_ADMIN_KEY; on this machine it is known. It is never an argument, which other users could read.",
		Example: "  cogctl token mint --email ada@example.com",
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := d.Target(cmd.Context(), d.Env)
			if err != nil {
				return err
			}
			key, err := d.adminKey(o.keyFile)
			if err != nil {
				return err
			}
			text, err := jwks.Mint(cmd.Context(), t, key, o.claim)
			if err != nil {
				return err
			}
			return printToken(d, text)
		},
	}
	cmd.Flags().StringVar(&o.claim.Email, "email", "", "whose token")
	cmd.Flags().StringVar(&o.claim.Role, "role", "", "user or admin (default: user)")
	cmd.Flags().StringVar(&o.claim.TID, "tid", "", "tenant")
	cmd.Flags().StringVar(&o.keyFile, "admin-key-file", "", "file that holds the admin key")
	must(cmd.MarkFlagRequired("email"))
	must(cmd.MarkFlagFilename("admin-key-file"))
	must(cmd.RegisterFlagCompletionFunc("role", fixed("user", "admin")))
	return cmd
}

func (d *Deps) adminKey(file string) (string, error) {
	if file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			return "", fault.New(fault.Invalid, "read the admin key: %w", err)
		}
		return strings.TrimSpace(string(raw)), nil
	}
	if key := d.Getenv("COGCTL_ADMIN_KEY"); key != "" {
		return key, nil
	}
	if d.Env == localEnv {
		l, err := d.layout()
		if err != nil {
			return "", err
		}
		secrets, err := platform.EnsureLocalSecrets(l)
		return secrets["ADMIN_API_KEY"], err
	}
	return "", fault.New(fault.Unauthenticated, "no admin key for environment %s", d.Env).WithHint("set COGCTL_ADMIN_KEY, or name a file with --admin-key-file")
}

// inspection is a token without its signature, so that showing it gives nothing away.
type inspection struct {
	jwks.Token
	Verdict  audit.Verdict   `json:"verdict"`
	Findings []audit.Finding `json:"findings"`
}

func newTokenInspect(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "inspect", Short: "Decode and verify a token read from stdin", Args: noTokenArgument,
		Long:    "Decode and verify a token read from stdin, with the environment's published keys. The token itself is never printed.",
		Example: "  cogctl token guest | cogctl token inspect\n  pbpaste | cogctl token inspect --env production",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runTokenInspect(cmd.Context(), d)
			if err != nil {
				return err
			}
			if err := d.Term.Print(inspectReport(result)); err != nil {
				return err
			}
			return result.Verdict.Err()
		},
	}
}

// noTokenArgument keeps tokens out of process lists and shell histories.
func noTokenArgument(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "a token is read from stdin, never from the command line, which others can see").WithHint("cogctl token guest | cogctl token inspect")
}

func runTokenInspect(ctx context.Context, d *Deps) (*inspection, error) {
	text, err := d.tokenFromStdin()
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
	token, findings, err := jwks.Inspect(text, set, rules(t, jwks.Path))
	if err != nil {
		return nil, err
	}
	conclusion := audit.Conclude("", findings, nil)
	return &inspection{token, conclusion.Verdict, conclusion.Findings}, nil
}

func inspectReport(r *inspection) term.Report {
	what := "verifies with kid " + r.KID
	if r.Verdict != audit.Pass {
		what = "does not hold"
	}
	facts := term.Facts{}
	for _, part := range []map[string]any{r.Header, r.Claims} {
		for _, name := range sortedKeys(part) {
			facts = append(facts, term.Fact{Name: name, Value: term.T(claimText(name, part[name]))})
		}
	}
	report := term.Report{Schema: "cogctl/token.inspect/v1", Data: r, Blocks: []term.Block{headline(r.Verdict, "the token "+what), facts}}
	if len(r.Findings) > 0 {
		report.Blocks = append(report.Blocks, findingRows(r.Findings, "got", "want"))
	}
	return report
}

// claimText adds the date to a time, which a token holds in seconds.
func claimText(name string, value any) string {
	if n, ok := value.(float64); ok && (name == "exp" || name == "iat" || name == "nbf") && n > 0 && n < 1<<40 {
		return fmt.Sprintf("%.0f  %s", n, time.Unix(int64(n), 0).UTC().Format(rfc3339))
	}
	return fmt.Sprint(value)
}
