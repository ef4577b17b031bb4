package ledger_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
)

func TestPostingIsOnce(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 2)
	grant, use := event(ledger.Grant, "A@Example.test", 1000), event(ledger.Usage, "a@example.test", 300)
	r := post(t, l, grant, use, use)
	if diff := cmp.Diff([]string{"posted", "posted", "duplicate"}, r.Outcomes); diff != "" {
		t.Error(diff)
	}
	want := []ledger.Balance{{Account: "a@example.test", Balance: 700, Available: 700, Version: 1, UpdatedAtMS: r.Balances[0].UpdatedAtMS}}
	if diff := cmp.Diff(want, r.Balances); diff != "" {
		t.Error(diff)
	}
	r = post(t, l, use, grant)
	if diff := cmp.Diff([]string{"duplicate", "duplicate"}, r.Outcomes); diff != "" || r.Balances[0].Version != 1 {
		t.Errorf("a redelivered batch must add nothing: %s %+v", diff, r.Balances)
	}
	if n := scan[int](t, pool, "SELECT count(*) FROM ledger.review"); n != 0 {
		t.Errorf("%d rows for review", n)
	}
	noDrift(t, l)
}

func TestConflictingContentIsKeptForReview(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 2)
	first := event(ledger.Usage, "a@example.test", 300)
	post(t, l, first, event(ledger.Usage, "b@example.test", 1))
	for name, change := range map[string]func(*ledger.Event){
		"amount":  func(e *ledger.Event) { e.Amount = 301 },
		"account": func(e *ledger.Event) { e.Account = "b@example.test" },
		"kind":    func(e *ledger.Event) { e.Kind = ledger.Grant },
		"nobody":  func(e *ledger.Event) { e.Account = "nobody@example.test" },
	} {
		other := first
		change(&other)
		for range 2 {
			r, err := l.PostBatch(t.Context(), []ledger.Event{other}, false)
			if err != nil || r.Outcomes[0] != "conflict" {
				t.Errorf("%s: got %v, %v", name, r.Outcomes, err)
			}
		}
	}
	if n, times := scan[int](t, pool, "SELECT count(*) FROM ledger.review WHERE reason = 'conflict'"), scan[int](t, pool, "SELECT min(times) FROM ledger.review"); n != 4 || times != 2 {
		t.Errorf("%d kept, seen %d times", n, times)
	}
	if b, err := l.Balance(t.Context(), "a@example.test"); err != nil || b.Balance != -300 {
		t.Errorf("the first must stand: %+v, %v", b, err)
	}
	noDrift(t, l)
}

// TestPoisonLeavesItsNeighbours puts each kind of unusable event among 99 good ones.
func TestPoisonLeavesItsNeighbours(t *testing.T) {
	t.Parallel()
	const id = `"id":"01890a5d-ac96-774b-bcce-b302099a8057"`
	const rest = `"account":"a@example.test","at_ms":1700000000000`
	tests := map[string]struct{ event, outcome string }{
		"no object":         {`[1]`, "not_an_event"},
		"null":              {`null`, "not_an_event"},
		"no JSON":           {`{"id":`, "not_an_event"},
		"no id":             {`{"kind":"usage","amount":1,` + rest + `}`, "invalid_id"},
		"short id":          {`{"id":"1","kind":"usage","amount":1,` + rest + `}`, "invalid_id"},
		"id is a number":    {`{"id":5,"kind":"usage","amount":1,` + rest + `}`, "invalid_id"},
		"kind":              {`{` + id + `,"kind":"gift","amount":1,` + rest + `}`, "invalid_kind"},
		"capture":           {`{` + id + `,"kind":"capture","amount":1,` + rest + `}`, "invalid_kind"},
		"amount of nothing": {`{` + id + `,"kind":"usage","amount":0,` + rest + `}`, "invalid_amount"},
		"negative":          {`{` + id + `,"kind":"usage","amount":-1,` + rest + `}`, "invalid_amount"},
		"fraction":          {`{` + id + `,"kind":"usage","amount":1.5,` + rest + `}`, "invalid_amount"},
		"exponent":          {`{` + id + `,"kind":"usage","amount":1e300,` + rest + `}`, "invalid_amount"},
		"amount as text":    {`{` + id + `,"kind":"usage","amount":"1",` + rest + `}`, "invalid_amount"},
		"NaN, as JS writes": {`{` + id + `,"kind":"usage","amount":null,` + rest + `}`, "invalid_amount"},
		"account":           {`{` + id + `,"kind":"usage","amount":1,"account":"","at_ms":1700000000000}`, "invalid_account"},
		"long account":      {`{` + id + `,"kind":"usage","amount":1,"account":"` + strings.Repeat("a", 321) + `","at_ms":1700000000000}`, "invalid_account"},
		"system account":    {`{` + id + `,"kind":"grant","amount":1,"account":"SYSTEM:revenue","at_ms":1700000000000}`, "invalid_account"},
		"time":              {`{` + id + `,"kind":"usage","amount":1,"account":"a@example.test","at_ms":17}`, "invalid_time"},
		"far future":        {`{` + id + `,"kind":"usage","amount":1,"account":"a@example.test","at_ms":9999999999999}`, "invalid_time"},
		"ref":               {`{` + id + `,"kind":"refund","amount":1,"ref":"x",` + rest + `}`, "invalid_ref"},
		"meta":              {`{` + id + `,"kind":"usage","amount":1,"meta":"x",` + rest + `}`, "invalid_meta"},
		"zero byte":         {`{` + id + `,"kind":"usage","amount":1,"meta":{"a":"\u0000"},` + rest + `}`, "not_an_event"},
		"half a surrogate":  {`{` + id + `,"kind":"usage","amount":1,"meta":{"a":"\ud800"},` + rest + `}`, "not_an_event"},
		"bytes, not UTF-8":  {`{` + id + `,"kind":"usage","amount":1,"meta":{"a":"` + "\xff" + `"},` + rest + `}`, ledger.Unreadable},
	}
	l, pool := open(t, 4)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			account := strings.ReplaceAll(strings.ToLower(name), " ", "-") + "@example.test"
			batch, want := make([]json.RawMessage, 0, 100), make([]string, 0, 100)
			for range 99 {
				raw, _ := json.Marshal(event(ledger.Usage, account, 7))
				batch, want = append(batch, raw), append(want, ledger.Posted)
			}
			batch, want = slices.Insert(batch, 50, json.RawMessage(tt.event)), slices.Insert(want, 50, tt.outcome)
			r, err := l.PostRaw(t.Context(), batch, true)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, r.Outcomes); diff != "" {
				t.Error(diff)
			}
			if n := scan[int](t, pool, "SELECT -balance / 7 FROM ledger.account_balance WHERE account = $1", account); n != 99 {
				t.Errorf("%d of 99 neighbours were posted", n)
			}
		})
	}
	if kept := scan[int](t, pool, "SELECT count(*) FROM ledger.review WHERE times = 1"); kept != len(tests)-1 {
		t.Errorf("%d of %d kept for review", kept, len(tests)-1)
	}
	noDrift(t, l)
}

func TestUnknownAccounts(t *testing.T) {
	t.Parallel()
	l, _ := open(t, 1)
	r, err := l.PostBatch(t.Context(), []ledger.Event{event(ledger.Usage, "new@example.test", 5)}, false)
	if err != nil || r.Outcomes[0] != ledger.UnknownAccount {
		t.Errorf("got %v, %v", r, err)
	}
	if _, err := l.Balance(t.Context(), "new@example.test"); !errors.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	odd := strings.Repeat("ü'\"\\;--%_", 20) + "@example.test"
	if r := post(t, l, event(ledger.Usage, odd, 5)); r.Outcomes[0] != ledger.Posted {
		t.Errorf("got %v", r)
	}
}

// TestUsageBeyondTheFloorIsOwed: what was used is never refused, and never takes the balance below its floor.
func TestUsageBeyondTheFloorIsOwed(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 2)
	const floor = 1_000_000_000 // below zero
	r := post(t, l, event(ledger.Grant, "a@example.test", 10), event(ledger.Usage, "a@example.test", floor), event(ledger.Usage, "a@example.test", 11),
		event(ledger.Charge, "a@example.test", 11), event(ledger.Charge, "b@example.test", 1))
	if diff := cmp.Diff([]string{"posted", "posted", "overage", "insufficient", "posted"}, r.Outcomes); diff != "" {
		t.Error(diff)
	}
	if b := r.Balances[0]; b.Balance != 10-floor || b.Overage != 11 {
		t.Errorf("%+v", b)
	}
	if _, err := pool.Exec(t.Context(), "UPDATE ledger.balance SET debits = debits + 100"); err == nil {
		t.Error("the table itself must refuse a balance below its floor")
	}
	noDrift(t, l)
}

func TestTheJournalIsAppendOnly(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 1)
	post(t, l, event(ledger.Usage, "a@example.test", 5))
	for _, sql := range []string{
		"UPDATE ledger.transfer SET amount = 1", "DELETE FROM ledger.transfer", "TRUNCATE ledger.transfer", "DELETE FROM ledger.account",
		"SET session_replication_role = replica; UPDATE ledger.transfer SET amount = 1", "TRUNCATE ledger.account CASCADE",
	} {
		_, err := pool.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if n := scan[int](t, pool, "SELECT count(*) FROM ledger.transfer WHERE amount = 5"); n != 1 {
		t.Errorf("%d rows left", n)
	}
}

func TestDriftIsFound(t *testing.T) {
	t.Parallel()
	for what, sql := range map[string]string{
		"debits":         "UPDATE ledger.balance SET debits = debits + 1",
		"credits":        "UPDATE ledger.balance SET credits = credits + 1",
		"held":           "UPDATE ledger.balance SET held = held + 1",
		"overage":        "UPDATE ledger.balance SET overage = 1",
		"no balance row": "DELETE FROM ledger.balance",
		"no account":     "INSERT INTO ledger.transfer (id, kind, debit_id, credit_id, amount, occurred_at) VALUES (gen_random_uuid(), 'usage', 4711, 1, 1, now())",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l, pool := open(t, 1)
			post(t, l, event(ledger.Grant, "a@example.test", 50), event(ledger.Usage, "a@example.test", 5))
			noDrift(t, l)
			if _, err := pool.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
			found, err := l.Drift(t.Context(), 10)
			if err != nil || !slices.ContainsFunc(found, func(d ledger.Difference) bool { return d.What == what }) {
				t.Errorf("found %+v, %v", found, err)
			}
		})
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 2)
	ctx, now := t.Context(), time.Now()
	post(t, l, event(ledger.Grant, "a@example.test", 1000))
	var answers []string
	say := func(a ledger.Answer, err error) ledger.Answer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a.Outcome)
		return a
	}
	one, two, three, four := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	say(l.Hold(ctx, one, "a@example.test", 600, time.Minute))
	say(l.Hold(ctx, one, "a@example.test", 600, time.Minute))
	say(l.Hold(ctx, one, "a@example.test", 601, time.Minute))
	say(l.Hold(ctx, two, "a@example.test", 401, time.Minute))
	say(l.Hold(ctx, two, "nobody@example.test", 1, time.Minute))
	say(l.Hold(ctx, two, "a@example.test", 400, time.Minute))
	if b := say(l.Capture(ctx, one, 250, now)).Balance; b.Balance != 750 || b.Held != 400 {
		t.Errorf("%+v", b)
	}
	say(l.Capture(ctx, one, 250, now))
	say(l.Capture(ctx, one, 251, now))
	say(l.Void(ctx, one))
	say(l.Void(ctx, two))
	say(l.Void(ctx, two))
	say(l.Capture(ctx, two, 1, now))
	say(l.Capture(ctx, three, 1, now))
	say(l.Hold(ctx, three, "a@example.test", 100, time.Minute))
	if _, err := pool.Exec(ctx, "UPDATE ledger.hold SET expires_at = now() - interval '1 s' WHERE id = $1", three); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Expire(ctx, 10); err != nil || n != 1 {
		t.Errorf("expired %d, %v", n, err)
	}
	if n, err := l.Expire(ctx, 10); err != nil || n != 0 {
		t.Errorf("expired %d again, %v", n, err)
	}
	say(l.Void(ctx, three))
	say(l.Capture(ctx, three, 100, now)) // the work was done all the same
	say(l.Hold(ctx, four, "a@example.test", 100, time.Minute))
	b := say(l.Capture(ctx, four, 2_000_000_000, now)).Balance // far more than was held
	if b.Balance != -1_000_000_000 || b.Overage != 2_000_000_000-650-1_000_000_000 || b.Held != 0 {
		t.Errorf("%+v", b)
	}
	want := []string{
		"held", "duplicate", "conflict", "insufficient", "unknown_account", "held", "captured", "duplicate", "conflict", "captured", "voided", "duplicate",
		"voided", "unknown_hold", "held", "expired", "captured", "held", "captured",
	}
	if diff := cmp.Diff(want, answers); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []func() error{
		func() error { _, err := l.Hold(ctx, uuid.New(), "a@example.test", 0, time.Minute); return err },
		func() error { _, err := l.Hold(ctx, uuid.New(), "a@example.test", 1, 48*time.Hour); return err },
		func() error { _, err := l.Capture(ctx, one, -1, now); return err },
	} {
		if err := bad(); !errors.Is(err, fault.Invalid) {
			t.Errorf("got %v", err)
		}
	}
	noDrift(t, l)
}

func TestAdjustments(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 1)
	to := func(n int64) *int64 { return &n }
	one, two, three, four := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	steps := []struct {
		c       ledger.Adjustment
		outcome string
		balance int64
	}{
		{ledger.Adjustment{ID: one, Set: to(500)}, "posted", 500},
		{ledger.Adjustment{ID: one, Set: to(500)}, "duplicate", 500},
		{ledger.Adjustment{ID: one, Set: to(501)}, "conflict", 500},
		{ledger.Adjustment{ID: two, Set: to(500)}, "unchanged", 500},
		{ledger.Adjustment{ID: three, Delta: to(-200)}, "posted", 300},
		{ledger.Adjustment{ID: two, Set: to(500)}, "duplicate", 300}, // its key is used up
		{ledger.Adjustment{ID: four, Delta: to(-2_000_000_000)}, "insufficient", 300},
	}
	for i, s := range steps {
		s.c.Account, s.c.Actor, s.c.Reason = "a@example.test", "operator", "test"
		a, err := l.Adjust(t.Context(), s.c)
		if err != nil || a.Outcome != s.outcome || a.Balance.Balance != s.balance {
			t.Errorf("step %d: %+v, %v", i, a, err)
		}
	}
	for name, c := range map[string]ledger.Adjustment{
		"both":   {ID: uuid.New(), Account: "a", Set: to(1), Delta: to(1), Actor: "x"},
		"none":   {ID: uuid.New(), Account: "a", Actor: "x"},
		"system": {ID: uuid.New(), Account: "System:Revenue", Set: to(1), Actor: "x"},
	} {
		if _, err := l.Adjust(t.Context(), c); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n := scan[int](t, pool, "SELECT count(*) FROM ledger.adjustment"); n != 3 {
		t.Errorf("%d rows in the audit trail", n)
	}
	noDrift(t, l)
}
