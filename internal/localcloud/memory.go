package localcloud

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/cognomega/edge/internal/localcloud/mapped"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// quiet is how long little may have been allocated before memory is given back.
const quiet = 2 * time.Second

const (
	// atWork is what is allocated in that time by one who works.
	atWork = 512 << 10
	// worthIt is what has to have been allocated since the last time for giving back to be worth a collection.
	worthIt = 4 << 20
	// gcPercent lets a heap of a few megabytes grow to five times as much before it is collected: what it holds then is given back at rest,
	// and at work each collection costs the same however much it frees.
	gcPercent = 400
)

// giveBack returns memory to the machine when work has come to a rest. An upload of bundles or a burst of messages leaves a heap several
// times of what an idle account needs, and Go would keep it for minutes. The pages of the program and of the account's database that were
// read are given back then too, the latter during work as well as soon as they are many: they grow with the account, not with what it does.
func giveBack(ctx context.Context, s *store.Store) {
	debug.SetGCPercent(gcPercent)
	tick := time.NewTicker(quiet)
	defer tick.Stop()
	seen := allocations{last: allocated()}
	var files int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		busy, worth := seen.look(allocated())
		if busy {
			s.Unmap(mostMapped)
			continue
		}
		if worth {
			debug.FreeOSMemory()
		}
		if worth || mapped.Files() > files+fewMapped {
			s.Unmap(0)
			mapped.ForgetProgram()
			files = mapped.Files()
		}
	}
}

// allocations tells work from rest by how many bytes were ever allocated.
type allocations struct {
	last  uint64 // at the last look
	given uint64 // when memory was last given back
}

// look says whether much was allocated since the last look, and if not, whether enough was since the last giving back, which then follows.
func (a *allocations) look(now uint64) (busy, worth bool) {
	busy = now-a.last > atWork
	a.last = now
	if worth = !busy && now-a.given > worthIt; worth {
		a.given = now
	}
	return busy, worth
}

// fewMapped is how much of its files a process at rest may take up again before it gives them back once more.
const fewMapped = 4 << 20

// mostMapped is how much of the database a working account keeps in its memory; below it, giving back would only cost faults.
const mostMapped = 64 << 20

// allocated is how many bytes of heap were ever allocated. To ask stops nothing.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
