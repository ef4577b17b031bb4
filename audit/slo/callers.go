package slo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// callers are the tokens that the requests of a run carry: none, one for all of them, or one for each.
type callers []string

func (c callers) of(i int) string {
	if len(c) == 0 {
		return ""
	}
	return c[i%len(c)]
}

// What it takes to make a caller up.
const (
	adjustPath  = "/api/credits/adjust"
	minters     = 8                      // tokens that are asked for at once
	settleTries = 20                     // looks whether the answers come the way that is measured
	settleFirst = 100 * time.Millisecond // doubled up to settleMost
	settleMost  = 5 * time.Second
)

// Preparing is how many requests an objective takes beside those of warm-up and load, at most.
func Preparing(o contract.Objective, warmUp, requests int) int {
	switch o.Probe.As {
	case contract.AsAccount:
		return 2 + settleTries
	case contract.AsStrangers:
		return warmUp + requests
	default:
		return 0
	}
}

// arrive makes up who asks: addresses that nobody can have (RFC 2606), and that no earlier run had.
func (p prober) arrive(ctx context.Context, t *audit.Target) (callers, error) {
	o := p.objective
	if o.Probe.As == contract.AsNobody {
		return nil, nil
	}
	if t.AdminKey == nil {
		return nil, fault.New(fault.Unavailable, "objective %s is asked by made-up accounts, and the admin key that makes them is not known here", p.id).WithHint("set COGCTL_ADMIN_KEY")
	}
	admin, err := t.AdminKey()
	if err != nil {
		return nil, err
	}
	n := 1
	if o.Probe.As == contract.AsStrangers {
		n = p.options.Plan.WarmUp + p.options.Plan.Requests
	}
	name := fmt.Sprintf("proof-%x", t.Now().UnixNano())
	who, err := mint(ctx, t, admin, name, n)
	if err == nil && o.Probe.As == contract.AsAccount {
		err = give(ctx, t, admin, name)
	}
	return who, err
}

func address(name string, i int) string { return fmt.Sprintf("%s-%d@slo.invalid", name, i) }

func mint(ctx context.Context, t *audit.Target, admin, name string, n int) (callers, error) {
	who := make(callers, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(minters)
	for i := range who {
		g.Go(func() (err error) {
			who[i], err = jwks.Mint(ctx, t, admin, jwks.Claim{Email: address(name, i)})
			return err
		})
	}
	return who, g.Wait()
}

// give opens the account: one without credits has nothing that could be shown or used.
func give(ctx context.Context, t *audit.Target, admin, name string) error {
	email := address(name, 0)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL(adjustPath), strings.NewReader(fmt.Sprintf(`{"email":%q,"delta":100,"reason":"proof"}`, email)))
	if err != nil {
		return fault.New(fault.Internal, "make a request for %s: %w", adjustPath, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Admin-Key", admin)
	req.Header.Set("Idempotency-Key", email)
	res, err := t.HTTP.Do(req)
	if err != nil {
		return audit.Unreachable(http.MethodPost, t.PublicURL(adjustPath), err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 200)) // for the message alone
	if res.StatusCode != http.StatusOK {
		return fault.New(fault.Unavailable, "POST %s answers %d: %s", t.PublicURL(adjustPath), res.StatusCode, body).WithHint("cogctl db status")
	}
	return nil
}

// settle asks until the answers come the way that is measured. When they never do, the warm-up says so.
func (p prober) settle(ctx context.Context, send func(context.Context, int) outcome) {
	if p.objective.Probe.As != contract.AsAccount {
		return
	}
	pause := settleFirst
	for range settleTries {
		if out := send(ctx, 0); out.failure == "" && out.elsewhere == "" || ctx.Err() != nil {
			return
		}
		sleep(ctx, pause)
		pause = min(2*pause, settleMost)
	}
}
