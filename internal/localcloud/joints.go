package localcloud

import (
	"context"

	"github.com/cognomega/edge/internal/localcloud/edge"
	"github.com/cognomega/edge/internal/localcloud/runtime"
)

// lender lets the edge borrow the runtime's processes: each of the two names its own lease, so that neither needs the other to be tested.
type lender struct{ *runtime.Runtime }

func (l lender) Acquire(ctx context.Context, script string, p edge.Prefer) (*edge.Lease, error) {
	lease, err := l.AcquireFor(ctx, script, runtime.Prefer(p))
	if err != nil {
		return nil, err
	}
	return &edge.Lease{Network: lease.Network, Addr: lease.Addr, VersionID: lease.VersionID, Release: lease.Release}, nil
}
