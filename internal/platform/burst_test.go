package platform_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/ledger/copies"
)

// The feed keeps up with the ledger: what a busy minute sends is shown whole, by two batches at a time, within the time that the contract
// gives the ledger for it. Nothing of it is left for the reconciler to find.
func TestABurstIsShownWhole(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	const events, accounts, batch, drain = 20_000, 200, 100, 2 * time.Minute
	sent := time.Now()
	for from := 0; from < events; from += batch {
		bodies := make([]string, batch)
		for i := range bodies {
			n := from + i
			bodies[i] = event(n, fmt.Sprintf("burst%d@example.test", n%accounts), "50")
		}
		m.queue("cognomega-usage-events", bodies...)
	}
	shown := 0
	for shown < events {
		if time.Since(sent) > drain {
			t.Fatalf("%d of %d uses are shown after %v", shown, events, drain)
		}
		shown = 0
		if err := m.cf.KVKeys(t.Context(), m.kv, copies.FeedPrefix+"burst", func(keys []string) error { shown += len(keys); return nil }); err != nil {
			t.Fatal(err)
		}
		<-time.After(500 * time.Millisecond)
	}
	t.Logf("%d uses are shown %v after the first was sent", shown, time.Since(sent).Round(time.Millisecond))
	if n := one[int64](m, "SELECT count(*) FROM ledger.transfer"); n != events {
		t.Errorf("%d transfers, want %d", n, events)
	}
	if found := m.recorded(); len(found) != 0 {
		t.Errorf("the reconciler found %d", len(found))
	}
	m.must(0, nil, "ledger", "drift")
}
