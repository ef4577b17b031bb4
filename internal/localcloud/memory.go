package localcloud

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/cognomega/edge/internal/localcloud/mapped"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// quiet is how long nothing may have been collected before memory is given back.
const quiet = 2 * time.Second

// giveBack returns memory to the machine when work has come to a rest. An upload of bundles or a burst of messages leaves a heap several
// times of what an idle account needs, and Go would keep it for minutes. The pages of the program and of the account's database that were
// read are given back then too, the latter during work as well as soon as they are many: they grow with the account, not with what it does.
func giveBack(ctx context.Context, s *store.Store) {
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	var given uint64
	var files int64
	for last := collections(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := collections()
		if now != last {
			s.Unmap(mostMapped)
			last = now
			continue
		}
		if now != given {
			debug.FreeOSMemory()
		}
		if now != given || mapped.Files() > files+fewMapped {
			s.Unmap(0)
			mapped.ForgetProgram()
			files = mapped.Files()
		}
		given = now
	}
}

// fewMapped is how much of its files a process at rest may take up again before it gives them back once more.
const fewMapped = 4 << 20

// mostMapped is how much of the database a working account keeps in its memory; below it, giving back would only cost faults.
const mostMapped = 64 << 20

// collections counts the garbage collections that allocating has caused, which a busy process makes all the time.
func collections() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
