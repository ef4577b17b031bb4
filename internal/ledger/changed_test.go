package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/ledger/copies"
)

// TestACopyOfAnAccountThatChangesAllTheTimeIsNotOnItsWayForEver has accounts that changed a moment ago, with copies of different ages: on
// their way are those that leave out nothing that is older than the grace.
func TestACopyOfAnAccountThatChangesAllTheTimeIsNotOnItsWayForEver(t *testing.T) {
	t.Parallel()
	l, _ := open(t, 1)
	began := time.Now()
	post(t, l, event(ledger.Usage, "busy@a.test", 5), event(ledger.Usage, "another@a.test", 5), event(ledger.Grant, "given@a.test", 5))
	const grace = time.Minute
	later := began.Add(time.Hour)
	copyAt := func(at time.Time) *string {
		text := fmt.Sprintf(`{"balance_credits":0,"held_credits":0,"owed_credits":0,"version":0,"as_of":%q}`, at.Format(time.RFC3339Nano))
		return &text
	}
	for name, c := range map[string]struct {
		account string
		text    *string
		now     time.Time
		onWay   bool
	}{
		"a copy from before a change":        {"busy@a.test", copyAt(began.Add(-time.Hour)), later, false},
		"a copy from before a grant":         {"given@a.test", copyAt(began.Add(-time.Hour)), later, false},
		"no copy at all":                     {"busy@a.test", nil, later, false},
		"a copy from after it":               {"busy@a.test", copyAt(began.Add(time.Second)), later, true},
		"a copy of a clock that is behind":   {"busy@a.test", copyAt(began.Add(-30 * time.Second)), later, true},
		"a change that is itself young":      {"busy@a.test", copyAt(began.Add(-time.Hour)), began, true},
		"no copy of what has just opened":    {"busy@a.test", nil, began, true},
		"an account that the ledger has not": {"ghost@a.test", nil, later, true},
	} {
		b := ledger.Balance{Account: c.account, Version: 9, UpdatedAtMS: c.now.Add(-time.Second).UnixMilli()}
		d := copies.Compare(b, c.text, c.now, grace)
		if d == nil || !d.OnWay {
			t.Fatalf("%s: %+v", name, d)
		}
		if err := copies.Overdue(t.Context(), l, []*copies.Difference{d}, c.now, grace); err != nil || d.OnWay != c.onWay {
			t.Errorf("%s: on its way %t, %v", name, d.OnWay, err)
		}
	}
}
