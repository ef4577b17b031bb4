package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type revokeTokenOptions struct {
	jti, subject, family, reason, keyFile string
	dryRun                                bool
}

// tokenRevocation is what was ended, and how long it may still be accepted somewhere.
type tokenRevocation struct {
	Env     string `json:"env"`
	Kind    string `json:"kind"`  // jti, subject or family; none when the token was worth nothing already
	Value   string `json:"value"` // never a token
	Reason  string `json:"reason"`
	UsualS  int    `json:"usually_within_s"`
	BoundS  int    `json:"within_s"`
	DryRun  bool   `json:"dry_run"`
	Outcome string `json:"outcome"` // revoked, nothing, or planned
}

func newTokenRevoke(d *Deps) *cobra.Command {
	var o revokeTokenOptions
	cmd := &cobra.Command{
		Use: "revoke", Short: "End a token, a sign-in or all tokens of a subject; needs the admin key", Args: noTokenArgument,
		Long: "End the token that is read from stdin, or what a flag names: one token by its jti, a sign-in with its refresh tokens by its family, or every token that a subject has now. " +
			"The gateway learns it from a list in KV: the answer says how long a revoked token may still be accepted. It is not undone; whoever it was for signs in again. " +
			"When the signing key itself leaked, revoke that: cogctl jwks revoke.",
		Example: "  pbpaste | cogctl token revoke --reason \"in a public log\" --dry-run\n  cogctl token revoke --subject ada@example.com --reason \"laptop stolen\" --env production",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := runTokenRevoke(cmd.Context(), d, o)
			if err != nil {
				return err
			}
			return d.Term.Print(term.Report{Schema: "cogctl/token.revoke/v1", Data: r, Blocks: r.blocks()})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.jti, "jti", "", "name of one token")
	f.StringVar(&o.subject, "subject", "", "email, or guest:<uuid>: every token it has now")
	f.StringVar(&o.family, "family", "", "sign-in (the claim fam): its refresh tokens, and every token they gave")
	f.StringVar(&o.reason, "reason", "", "why; it is kept with the revocation")
	f.StringVar(&o.keyFile, "admin-key-file", "", "file that holds the admin key")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be revoked, and change nothing")
	cmd.MarkFlagsMutuallyExclusive("jti", "subject", "family")
	must(cmd.MarkFlagFilename("admin-key-file"))
	return cmd
}

// named is what a flag names, or nothing.
func (o revokeTokenOptions) named() (kind, value string) {
	switch {
	case o.jti != "":
		return "jti", strings.TrimSpace(o.jti)
	case o.family != "":
		return "family", strings.TrimSpace(o.family)
	case o.subject != "":
		return "subject", strings.ToLower(strings.TrimSpace(o.subject))
	}
	return "", ""
}

func runTokenRevoke(ctx context.Context, d *Deps, o revokeTokenOptions) (*tokenRevocation, error) {
	if len(o.reason) > 512 {
		return nil, fault.New(fault.Invalid, "--reason has more than 512 bytes")
	}
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	kind, value := o.named()
	body := map[string]string{kind: value}
	token := ""
	if kind == "" {
		if token, err = d.tokenFromStdin(); err != nil {
			return nil, err
		}
		body = map[string]string{"token": token}
	}
	if o.reason != "" {
		body["reason"] = o.reason
	}
	r := &tokenRevocation{Env: d.Env, Kind: kind, Value: value, Reason: o.reason, DryRun: o.dryRun}
	if o.dryRun {
		return r, d.planRevocation(ctx, t, o.keyFile, token, r)
	}
	return r, d.sendRevocation(ctx, t, o.keyFile, body, r)
}

// planRevocation finds out what a token would be revoked by.
func (d *Deps) planRevocation(ctx context.Context, t *audit.Target, keyFile, token string, r *tokenRevocation) error {
	r.Outcome, r.UsualS, r.BoundS = "planned", t.Contract.Auth.Revocation.UsualS, t.Contract.Auth.Revocation.BoundS
	if token == "" {
		return nil
	}
	shown, err := d.introspect(ctx, t, keyFile, token)
	if err != nil {
		return err
	}
	if !shown.Active {
		r.Outcome = "nothing"
		return nil
	}
	// As the platform chooses: a refresh token by its sign-in, a token by its name, and one without a name by its subject.
	text := func(claim string) string { s, _ := shown.Claims[claim].(string); return s }
	r.Kind, r.Value = "jti", text("jti")
	if text("token_type") == "refresh_token" {
		r.Kind, r.Value = "family", text("fam")
	} else if r.Value == "" {
		r.Kind, r.Value = "subject", text("sub")
	}
	return nil
}

func (d *Deps) sendRevocation(ctx context.Context, t *audit.Target, keyFile string, body map[string]string, r *tokenRevocation) error {
	var answer struct {
		Revoked map[string]string `json:"revoked"`
		UsualS  int               `json:"usually_within_s"`
		BoundS  int               `json:"within_s"`
	}
	err := d.adminCall(ctx, t, keyFile, adminRequest{doing: "revoke", method: http.MethodPost, path: "/auth/revoke", body: body}, &answer)
	if err != nil {
		if settledRefusal(err) {
			return err
		}
		return fault.New(fault.KindOf(err), "%w; it may have been recorded and not published", err).WithHint("run the same command again: it publishes what was recorded")
	}
	r.Outcome, r.UsualS, r.BoundS = "nothing", answer.UsualS, answer.BoundS
	for _, kind := range []string{"jti", "family", "subject"} {
		if value, ok := answer.Revoked[kind]; ok {
			r.Outcome, r.Kind, r.Value = "revoked", kind, value
		}
	}
	return nil
}

func (r *tokenRevocation) blocks() []term.Block {
	what := map[string]string{"jti": "the token %s", "family": "the sign-in %s, with every token of it", "subject": "every token that %s has now"}[r.Kind]
	switch r.Outcome {
	case "nothing":
		return []term.Block{term.Headline(term.Pass, "the token is worth nothing on "+r.Env+" already: none of ours, expired, or revoked before")}
	case "planned":
		return []term.Block{term.Line{term.T(fmt.Sprintf("would revoke "+what+" on %s; nothing was done", r.Value, r.Env))}}
	}
	return []term.Block{
		term.Headline(term.Pass, fmt.Sprintf("revoked: "+what+", on %s", r.Value, r.Env)),
		term.Facts{{Name: "in effect", Value: term.T(fmt.Sprintf("usually within %s, at the latest in %s", inSeconds(r.UsualS), inSeconds(r.BoundS)))}},
	}
}

func inSeconds(n int) time.Duration { return time.Duration(n) * time.Second }
