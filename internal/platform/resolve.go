package platform

import (
	"context"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
)

// Resolve turns an environment of the contract into what audits look at.
func Resolve(ctx context.Context, c *contract.Contract, l Layout, env string) (*audit.Target, error) {
	n, err := Connect(ctx, c, l, env)
	if err != nil {
		return nil, err
	}
	return &audit.Target{
		Env: env, Hostname: n.Decl.Hostname, Issuer: n.Decl.Issuer, Origins: n.Decl.Origins, BaseURL: n.BaseURL, HTTP: n.HTTP,
		API: n.API, AccountID: n.API.AccountID(), ZoneName: n.Decl.Zone, Contract: c, Now: time.Now,
	}, nil
}
