package cli

import (
	"context"
	"net/url"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
)

// resolve makes an environment of the contract into something that checks can look at.
func (d *Deps) resolve(ctx context.Context, env string) (*audit.Target, error) {
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	if _, ok := c.Envs[env]; !ok {
		return nil, d.unknownEnv(c)
	}
	var l platform.Layout
	if env == localEnv {
		if l, err = d.layout(); err != nil {
			return nil, err
		}
	} else if d.Getenv("CLOUDFLARE_API_TOKEN") == "" {
		return nil, noToken(env)
	}
	t, err := platform.Resolve(ctx, c, l, env)
	if err != nil {
		return nil, err
	}
	t.Now = d.Now
	ledger := platform.LedgerReader{Layout: l, Env: env, Getenv: d.Getenv}
	t.Ledger = ledger
	if env == localEnv && d.Getenv("DATABASE_URL") == "" {
		t.Outage = ledger.Outage
	}
	if env == localEnv {
		t.Doubles = platform.DoubleFaults{Layout: l}
	}
	t.AdminKey = func() (string, error) { return d.adminKey("") }
	return t, nil
}

func (d *Deps) unknownEnv(c *contract.Contract) error {
	return fault.New(fault.NotFound, "environment %q is not in the contract", d.Env).WithHint("--env %s", strings.Join(sortedKeys(c.Envs), ", --env "))
}

func noToken(env string) error {
	return fault.New(fault.Unauthenticated, "no API token for environment %s", env).
		WithHint("set CLOUDFLARE_API_TOKEN; `cogctl audit routes --help` lists the permissions it needs")
}

// stranger is a host that no environment of the contract has: the account is whatever the process's own environment names.
func (d *Deps) stranger(host, zone string) (*audit.Target, error) {
	token := d.Getenv("CLOUDFLARE_API_TOKEN")
	if token == "" {
		return nil, noToken(host)
	}
	account := d.Getenv("CLOUDFLARE_ACCOUNT_ID")
	if account == "" {
		return nil, fault.New(fault.Unauthenticated, "no account for host %s", host).WithHint("set CLOUDFLARE_ACCOUNT_ID")
	}
	api, err := cfapi.New(cfapi.Config{BaseURL: d.Getenv("CLOUDFLARE_BASE_URL"), Token: token, AccountID: account})
	if err != nil {
		return nil, err
	}
	return &audit.Target{
		Env: "account", Hostname: host, BaseURL: &url.URL{Scheme: "https", Host: host}, API: api, AccountID: account, ZoneName: zone, Now: d.Now,
	}, nil
}

// lookAt is the target of --env, or of --host: an environment's own when one has that hostname.
func (d *Deps) lookAt(ctx context.Context, host, zone string) (*audit.Target, error) {
	if host == "" {
		return d.Target(ctx, d.Env)
	}
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	for _, env := range sortedKeys(c.Envs) {
		if strings.EqualFold(c.Envs[env].Hostname, host) && (zone == "" || zone == c.Envs[env].Zone) {
			return d.Target(ctx, env)
		}
	}
	if local, err := d.neighbour(ctx, host, zone); local != nil || err != nil {
		return local, err
	}
	return d.stranger(host, zone)
}

// neighbour is another host of an environment that was asked for: same account, but nothing the contract says holds for it.
func (d *Deps) neighbour(ctx context.Context, host, zone string) (*audit.Target, error) {
	if !d.envGiven {
		return nil, nil //nolint:nilnil // no environment was asked for, which is no error
	}
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	other := *t
	other.Hostname, other.ZoneName, other.Contract = host, zone, nil
	other.BaseURL = &url.URL{Scheme: "https", Host: host}
	return &other, nil
}
