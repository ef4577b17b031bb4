package localcloud

import (
	"context"

	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/edge"
	"github.com/cognomega/edge/internal/localcloud/runtime"
)

// deployer lets the API deploy to the runtime: each of the two names its own types, so that neither needs the other to be tested.
type deployer struct{ *runtime.Runtime }

func (d deployer) Prepare(ctx context.Context, change api.Change) (api.Prepared, error) {
	c := runtime.Change{Delete: change.Delete}
	for _, put := range change.Put {
		c.Put = append(c.Put, runtime.Candidate{Script: put.Script, Version: put.Version})
	}
	p, err := d.Runtime.Prepare(ctx, c)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// lender lets the edge borrow the runtime's processes.
type lender struct{ *runtime.Runtime }

func (l lender) Acquire(ctx context.Context, script string) (*edge.Lease, error) {
	lease, err := l.Runtime.Acquire(ctx, script)
	if err != nil {
		return nil, err
	}
	return &edge.Lease{Network: lease.Network, Addr: lease.Addr, VersionID: lease.VersionID, Release: lease.Release}, nil
}
