package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

const tenantsDoor = "/api/admin/tenants"

func newTenants(d *Deps) *cobra.Command {
	return newGroup("tenants", "The tenants that tokens may name, and an operator's word on them",
		"  cogctl tenants list\n  cogctl tenants add acme --reason \"contract of 1 December\"\n  cogctl tenants suspend acme --reason \"unpaid\" --dry-run",
		newTenantsList(d), newTenantsAdd(d), newTenantsSuspend(d), newTenantsResume(d))
}

type tenant struct {
	Tenant    string    `json:"tenant"`
	State     string    `json:"state"` // active or suspended
	Why       string    `json:"why"`   // of its state
	CreatedAt time.Time `json:"created_at"`
	ChangedAt time.Time `json:"changed_at"`
}

// tenantsResult is the tenants there are, or the one that something was done to.
type tenantsResult struct {
	Env     string   `json:"env"`
	DryRun  bool     `json:"dry_run"`
	Action  string   `json:"action"` // list, add, suspend or resume
	Changed bool     `json:"changed"`
	WithinS int      `json:"within_s"` // after which a suspension or its end holds at every gateway
	Tenants []tenant `json:"tenants"`
}

func newTenantsList(d *Deps) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use: "list", Short: "List the tenants", Args: cobra.NoArgs, Example: "  cogctl tenants list\n  cogctl tenants list --env production -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := d.tenants(cmd.Context(), keyFile)
			if err != nil {
				return err
			}
			return printTenants(d, r)
		},
	}
	keyFileFlag(cmd, &keyFile)
	return cmd
}

// tenants reads all of them, page by page.
func (d *Deps) tenants(ctx context.Context, keyFile string) (*tenantsResult, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	r := &tenantsResult{Env: d.Env, Action: "list", WithinS: c.Auth.Revocation.BoundS, Tenants: []tenant{}}
	for after := ""; ; {
		var page struct {
			Tenants []tenant
			Next    string `json:"next_after"`
		}
		if err := d.adminCall(ctx, t, keyFile, adminRequest{doing: "list the tenants", method: http.MethodGet, path: tenantsDoor + "?after=" + url.QueryEscape(after)}, &page); err != nil {
			return nil, err
		}
		r.Tenants = append(r.Tenants, page.Tenants...)
		if after = page.Next; after == "" {
			return r, nil
		}
	}
}

type tenantOptions struct {
	reason, keyFile string
	dryRun          bool
}

func newTenantsAdd(d *Deps) *cobra.Command {
	return newTenantsChange(d, "add", "active", "Add a tenant: tokens may name it from then on",
		"Add a tenant: tokens may name it, and limits may be set for it, from then on. One that is there already stays as it is.")
}

func newTenantsSuspend(d *Deps) *cobra.Command {
	return newTenantsChange(d, "suspend", "suspended", "Refuse a tenant's tokens until it is resumed",
		"Refuse a tenant's tokens, and give no new ones, until it is resumed. New ones are refused at once; those that are out, everywhere within the bound that is printed. "+
			"Nothing is deleted, and sign-ins go on when the tenant does.")
}

func newTenantsResume(d *Deps) *cobra.Command {
	return newTenantsChange(d, "resume", "active", "Take a suspended tenant's tokens again",
		"Take a suspended tenant's tokens again, and give new ones: at once here, everywhere within the bound that is printed.")
}

func newTenantsChange(d *Deps, action, state, short, long string) *cobra.Command {
	var o tenantOptions
	cmd := &cobra.Command{
		Use: action + " TENANT", Short: short, Long: long, Args: cobra.ExactArgs(1),
		Example: fmt.Sprintf("  cogctl tenants %s acme --reason \"by contract\"\n  cogctl tenants %s acme --reason \"by contract\" --dry-run", action, action),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := runTenantsChange(cmd.Context(), d, action, tenant{Tenant: args[0], State: state, Why: o.reason}, o)
			if err != nil {
				return err
			}
			return printTenants(d, r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.reason, "reason", "", "why; it is kept with the tenant and in the admin log")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be changed, and change nothing")
	keyFileFlag(cmd, &o.keyFile)
	must(cmd.MarkFlagRequired("reason"))
	return cmd
}

func runTenantsChange(ctx context.Context, d *Deps, action string, to tenant, o tenantOptions) (*tenantsResult, error) {
	if o.dryRun {
		return planTenantsChange(ctx, d, action, to, o)
	}
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	var done struct {
		Changed bool
		Tenant  tenant
		WithinS int `json:"within_s"`
	}
	q := adminRequest{doing: action + " tenant " + to.Tenant, method: http.MethodPost, path: tenantsDoor, body: map[string]string{"action": action, "tenant": to.Tenant, "reason": o.reason}}
	if err := d.adminCall(ctx, t, o.keyFile, q, &done); err != nil {
		return nil, err
	}
	return &tenantsResult{Env: d.Env, Action: action, Changed: done.Changed, WithinS: done.WithinS, Tenants: []tenant{done.Tenant}}, nil
}

// planTenantsChange is what a change would come to.
func planTenantsChange(ctx context.Context, d *Deps, action string, to tenant, o tenantOptions) (*tenantsResult, error) {
	r, err := d.tenants(ctx, o.keyFile)
	if err != nil {
		return nil, err
	}
	r.DryRun, r.Action = true, action
	for _, now := range r.Tenants {
		if now.Tenant == to.Tenant {
			r.Changed = action != "add" && now.State != to.State
			to.CreatedAt, to.ChangedAt = now.CreatedAt, now.ChangedAt
			if !r.Changed {
				to = now
			}
			r.Tenants = []tenant{to}
			return r, nil
		}
	}
	if action != "add" {
		return nil, fault.New(fault.NotFound, "%s tenant %s: there is no such tenant", action, to.Tenant).WithHint("cogctl tenants list")
	}
	to.CreatedAt, to.ChangedAt = d.Now().UTC(), d.Now().UTC()
	r.Changed, r.Tenants = true, []tenant{to}
	return r, nil
}

func printTenants(d *Deps, r *tenantsResult) error {
	rows := term.Rows{Columns: []string{"tenant", "state", "because", "since", "there since"}, Empty: "there is no tenant: tokens name none"}
	for _, t := range r.Tenants {
		state := term.Text{Text: "✓ active", Tone: term.Good}
		if t.State == "suspended" {
			state = term.Text{Text: "✗ suspended", Tone: term.Bad}
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(t.Tenant), state, term.T(t.Why), term.T(t.ChangedAt.UTC().Format(rfc3339)), term.T(t.CreatedAt.UTC().Format(rfc3339))})
	}
	blocks := []term.Block{rows}
	if head := r.headline(); head != nil {
		blocks = []term.Block{head, rows}
	}
	return d.Term.Print(term.Report{Schema: "cogctl/tenants/v1", Data: r, Blocks: blocks})
}

func (r *tenantsResult) headline() term.Block {
	switch {
	case r.Action == "list":
		return nil
	case !r.Changed:
		return term.Headline(term.Pass, "it is so already; nothing was changed")
	case r.DryRun:
		return term.Line{term.T("nothing was changed; it would be")}
	case r.Action == "add":
		return term.Headline(term.Pass, "added: tokens may name it")
	}
	return term.Headline(term.Pass, fmt.Sprintf("done for new tokens; for those that are out, everywhere within %d s", r.WithinS))
}
