package cli

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// introspection is what the platform says that a token is worth now.
type introspection struct {
	Env    string         `json:"env"`
	Active bool           `json:"active"`
	Claims map[string]any `json:"claims"` // none of a token that is not active
}

func newTokenIntrospect(d *Deps) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use: "introspect", Short: "Ask the platform what a token read from stdin is worth now; needs the admin key", Args: noTokenArgument,
		Long: "Ask the platform what a token read from stdin is worth now: an access token or a refresh token. It asks the database and no copy, so a revocation shows at once; " +
			"cogctl token inspect looks at the token alone. Exit 1 says that it is not active. The token itself is never printed.",
		Example: "  pbpaste | cogctl token introspect --env production",
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := d.tokenFromStdin()
			if err != nil {
				return err
			}
			t, err := d.Target(cmd.Context(), d.Env)
			if err != nil {
				return err
			}
			r, err := d.introspect(cmd.Context(), t, keyFile, text)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/token.introspect/v1", Data: r, Blocks: r.blocks()}); err != nil {
				return err
			}
			if !r.Active {
				return audit.Fail.Err()
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&keyFile, "admin-key-file", "", "file that holds the admin key")
	must(cmd.MarkFlagFilename("admin-key-file"))
	return cmd
}

// tokenFromStdin keeps tokens out of process lists and shell histories.
func (d *Deps) tokenFromStdin() (string, error) {
	if d.Term.Interactive() {
		d.Term.Note(term.DimText("paste the token, then press Return and Ctrl-D"))
	}
	raw, err := io.ReadAll(io.LimitReader(d.Term.In(), 1<<16))
	if err != nil {
		return "", fault.New(fault.Invalid, "read the token: %w", err)
	}
	text := strings.TrimPrefix(strings.TrimSpace(string(raw)), "Bearer ")
	if text == "" {
		return "", fault.New(fault.Invalid, "no token was given on stdin").WithHint("pbpaste | cogctl token introspect")
	}
	return text, nil
}

func (d *Deps) introspect(ctx context.Context, t *audit.Target, keyFile, token string) (*introspection, error) {
	r := &introspection{Env: d.Env}
	err := d.adminCall(ctx, t, keyFile, adminRequest{doing: "introspect the token", method: http.MethodPost, path: "/auth/introspect", body: map[string]string{"token": token}}, &r.Claims)
	if err != nil {
		return nil, err
	}
	active, known := r.Claims["active"].(bool)
	if !known {
		return nil, fault.New(fault.Unavailable, "introspect the token: the answer does not say whether it is active")
	}
	delete(r.Claims, "active")
	r.Active = active
	return r, nil
}

func (r *introspection) blocks() []term.Block {
	if !r.Active {
		return []term.Block{term.Headline(term.Fail, "the token is not active on "+r.Env+": it is none of ours, has expired, or was revoked")}
	}
	facts := term.Facts{}
	for _, name := range sortedKeys(r.Claims) {
		facts = append(facts, term.Fact{Name: name, Value: term.T(claimText(name, r.Claims[name]))})
	}
	return []term.Block{term.Headline(term.Pass, "the token is active on "+r.Env), facts}
}
