package localcloud

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// quiet is how long nothing may have been collected before memory is given back.
const quiet = 2 * time.Second

// giveBack returns free memory to the machine when work has come to a rest: an upload of bundles or a burst of messages leaves a
// heap several times of what an idle account needs, and Go would keep it for minutes.
func giveBack(ctx context.Context) {
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
		if now == last && now != given {
			debug.FreeOSMemory()
			given = now
		}
		last = now
	}
}

// collections counts the garbage collections that allocating has caused, which a busy process makes all the time.
func collections() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/automatic:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
