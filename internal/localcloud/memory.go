package localcloud

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// quiet is how long nothing may have been collected before memory is given back.
const quiet = 2 * time.Second

// giveBack returns free memory to the machine when work has come to a rest: an upload of bundles or a burst of messages leaves a
// heap several times of what an idle account needs, and Go would keep it for minutes. The pages of the account's database are
// given back then too, and during work as soon as they are many: they grow with the account, not with what it is doing.
func giveBack(ctx context.Context, s *store.Store) {
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	var given uint64
	for last := collections(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := collections()
		switch {
		case now == last && now != given:
			debug.FreeOSMemory()
			s.Unmap(0)
			given = now
		case now != last:
			s.Unmap(mostMapped)
		}
		last = now
	}
}

// mostMapped is how much of the database a working account keeps in its memory; below it, giving back would only cost faults.
const mostMapped = 64 << 20

// collections counts the garbage collections that allocating has caused, which a busy process makes all the time.
func collections() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
