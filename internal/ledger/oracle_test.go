package ledger_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cognomega/edge/internal/ledger"
)

// oracle is the ledger's promise in a few lines, written without looking at how it is kept.
type oracle struct {
	accounts map[string]*oracleAccount
	events   map[uuid.UUID]ledger.Event // the first of each id
	holds    map[uuid.UUID]*oracleHold
}

type oracleAccount struct{ balance, held, owed int64 }

type oracleHold struct {
	account          string
	amount, captured int64
	state            string
}

const oracleFloor = -1_000_000_000

func newOracle() *oracle {
	return &oracle{accounts: map[string]*oracleAccount{}, events: map[uuid.UUID]ledger.Event{}, holds: map[uuid.UUID]*oracleHold{}}
}

func (o *oracle) account(name string) *oracleAccount {
	if o.accounts[name] == nil {
		o.accounts[name] = &oracleAccount{}
	}
	return o.accounts[name]
}

func (o *oracle) post(events []ledger.Event) (outcomes []string) {
	room := map[string]int64{}
	for _, e := range events {
		a := o.account(e.Account)
		if _, ok := room[e.Account]; !ok {
			room[e.Account] = a.balance - a.held - oracleFloor
		}
	}
	refused := map[uuid.UUID]bool{}
	for _, e := range events {
		outcome := "insufficient"
		if !refused[e.ID] {
			outcome = o.postOne(e, room)
		}
		refused[e.ID] = outcome == "insufficient" // an id has one chance in a batch
		outcomes = append(outcomes, outcome)
	}
	return outcomes
}

func (o *oracle) postOne(e ledger.Event, room map[string]int64) string {
	if first, ok := o.events[e.ID]; ok {
		if first.Account == e.Account && first.Amount == e.Amount && first.Kind == e.Kind {
			return "duplicate"
		}
		return "conflict"
	}
	a := o.account(e.Account)
	o.events[e.ID] = e
	if e.Kind == ledger.Grant || e.Kind == ledger.Refund {
		room[e.Account] += e.Amount
		a.balance += e.Amount
		return "posted"
	}
	room[e.Account] -= e.Amount
	switch {
	case room[e.Account] >= 0:
		a.balance -= e.Amount
		return "posted"
	case e.Kind == ledger.Usage:
		a.owed += e.Amount
		return "overage"
	}
	delete(o.events, e.ID)
	return "insufficient"
}

func (o *oracle) hold(id uuid.UUID, account string, amount int64) string {
	a := o.account(account)
	if h, ok := o.holds[id]; ok {
		if h.account == account && h.amount == amount {
			return "duplicate"
		}
		return "conflict"
	}
	if a.balance-a.held < amount {
		return "insufficient"
	}
	a.held += amount
	o.holds[id] = &oracleHold{account: account, amount: amount, state: "pending"}
	return "held"
}

func (o *oracle) capture(id uuid.UUID, amount int64) string {
	h, ok := o.holds[id]
	switch {
	case !ok:
		return "unknown_hold"
	case h.state == "voided":
		return "voided"
	case h.state == "captured" && h.captured == amount:
		return "duplicate"
	case h.state == "captured":
		return "conflict"
	}
	a := o.account(h.account)
	if h.state == "pending" {
		a.held -= h.amount
	}
	paid := min(amount, max(0, a.balance-a.held-oracleFloor))
	a.balance -= paid
	a.owed += amount - paid
	h.state, h.captured = "captured", amount
	return "captured"
}

func (o *oracle) release(id uuid.UUID, state string) string {
	h, ok := o.holds[id]
	switch {
	case !ok:
		return "unknown_hold"
	case h.state == "voided":
		return "duplicate"
	case h.state != "pending":
		return h.state
	}
	o.account(h.account).held -= h.amount
	h.state = state
	return state
}

// world draws what callers do: few accounts, ids that come again, batches out of order, amounts that reach the floor.
type world struct {
	r     *rand.Rand
	known []ledger.Event
	holds []uuid.UUID
}

func (w *world) name() string { return fmt.Sprintf("user%d@example.test", w.r.IntN(4)) }

func (w *world) amount() int64 {
	if w.r.IntN(12) == 0 {
		return 300_000_000 + w.r.Int64N(500_000_000)
	}
	return 1 + w.r.Int64N(5_000)
}

func (w *world) id() uuid.UUID {
	var raw [16]byte
	for i := range raw {
		raw[i] = byte(w.r.IntN(256))
	}
	return uuid.UUID(raw)
}

func (w *world) batch() (events []ledger.Event) {
	kinds := []string{ledger.Usage, ledger.Usage, ledger.Usage, ledger.Usage, ledger.Grant, ledger.Refund, ledger.Charge}
	for range 1 + w.r.IntN(30) {
		e := ledger.Event{ID: w.id(), Kind: kinds[w.r.IntN(len(kinds))], Account: w.name(), Amount: w.amount(), AtMS: 1_700_000_000_000 + w.r.Int64N(1e9)}
		if len(w.known) > 0 && w.r.IntN(5) == 0 {
			e = w.known[w.r.IntN(len(w.known))]
			if w.r.IntN(6) == 0 {
				e.Amount++
			}
		}
		events = append(events, e)
	}
	w.known = append(w.known, events...)
	w.r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	return events
}

func (w *world) someHold() uuid.UUID {
	if len(w.holds) == 0 || w.r.IntN(15) == 0 {
		return w.id()
	}
	return w.holds[w.r.IntN(len(w.holds))]
}

// TestAgainstTheOracle runs the same random life in the database and in memory, and compares every answer and every balance.
func TestAgainstTheOracle(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 1)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w, o := &world{r: rand.New(rand.NewPCG(seed, 1))}, newOracle()
	expect := func(step int, got, want string) {
		if got != want {
			t.Fatalf("seed %d, step %d: the ledger says %s, the oracle %s", seed, step, got, want)
		}
	}
	for _, name := range []string{"user0", "user1", "user2", "user3"} {
		e := event(ledger.Grant, name+"@example.test", 1_000_000)
		expect(-1, fmt.Sprint(post(t, l, e).Outcomes), fmt.Sprint(o.post([]ledger.Event{e})))
	}
	for step := range 400 {
		ctx := context.Background()
		switch w.r.IntN(6) {
		case 0, 1:
			b := w.batch()
			expect(step, fmt.Sprint(post(t, l, b...).Outcomes), fmt.Sprint(o.post(b)))
		case 2:
			id, account, amount := w.someHold(), w.name(), 1+w.r.Int64N(200_000)
			a, err := l.Hold(ctx, id, account, amount, time.Hour)
			must(t, err)
			w.holds = append(w.holds, id)
			expect(step, a.Outcome, o.hold(id, account, amount))
		case 3:
			id, amount := w.someHold(), 1+w.r.Int64N(250_000)
			a, err := l.Capture(ctx, id, amount, time.Now())
			must(t, err)
			expect(step, a.Outcome, o.capture(id, amount))
		case 4:
			id := w.someHold()
			a, err := l.Void(ctx, id)
			must(t, err)
			expect(step, a.Outcome, o.release(id, "voided"))
		case 5:
			id := w.someHold()
			_, err := pool.Exec(ctx, "UPDATE ledger.hold SET expires_at = now() - interval '1 s' WHERE id = $1 AND state = 'pending'", id)
			must(t, err)
			_, err = l.Expire(ctx, 100)
			must(t, err)
			o.release(id, "expired")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.accounts)) {
		b, err := l.Balance(t.Context(), name)
		must(t, err)
		want := o.accounts[name]
		if b.Balance != want.balance || b.Held != want.held || b.Overage != want.owed {
			t.Errorf("seed %d: %s has %+v, want %+v", seed, name, b, *want)
		}
	}
	noDrift(t, l)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
