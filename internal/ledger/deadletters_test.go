package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
)

var batches = ledger.ReplayBounds{MaxMessages: 10, MaxBytes: 10_000}

// keepLetters keeps n dead letters of usage, as usage-writer does.
func keepLetters(t testing.TB, conn *pgx.Conn, n int) (events []ledger.Event) {
	t.Helper()
	var letters []map[string]any
	for i := range n {
		e := event(ledger.Usage, "ann@a.test", 100)
		events = append(events, e)
		letters = append(letters, map[string]any{"id": fmt.Sprintf("m-%03d", i), "sent_ms": time.Now().UnixMilli(), "attempts": 101, "body": e})
	}
	raw, _ := json.Marshal(letters)
	if _, err := conn.Exec(t.Context(), "SELECT ledger.keep_dead_letters('dlq', $1::text::json)", string(raw)); err != nil {
		t.Fatal(err)
	}
	return events
}

// poster is a queue whose consumer posts at once.
func poster(l *ledger.Ledger, outcomes map[string]int) func(context.Context, string, []ledger.DeadLetter) error {
	return func(ctx context.Context, _ string, letters []ledger.DeadLetter) error {
		var raw []json.RawMessage
		for _, m := range letters {
			raw = append(raw, m.Body)
		}
		r, err := l.PostRaw(ctx, raw, true)
		for _, o := range r.Outcomes {
			outcomes[o]++
		}
		return err
	}
}

// TestReplayingIsSafeAtEveryMoment breaks a replay off before its send, after its send and before its mark, and finds every event in the ledger
// once when it is run again.
func TestReplayingIsSafeAtEveryMoment(t *testing.T) {
	t.Parallel()
	killed := errors.New("killed")
	for _, moment := range []string{"before the send", "after the send"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			l, pool := open(t, 2)
			conn := dial(t, pool.Config().ConnConfig)
			keepLetters(t, conn, 35)
			outcomes := map[string]int{}
			send, sends := poster(l, outcomes), 0
			err := ledger.ReplayDeadLetters(t.Context(), conn, batches, func(ctx context.Context, queue string, letters []ledger.DeadLetter) error {
				if sends++; sends < 3 {
					return send(ctx, queue, letters)
				}
				if moment == "after the send" {
					if err := send(ctx, queue, letters); err != nil {
						return err
					}
				}
				return killed
			})
			if !errors.Is(err, killed) && err == nil {
				t.Fatalf("it did not stop: %v", err)
			}
			if total, replayed, err := l.CountDeadLetters(t.Context()); total != 35 || replayed != 20 || err != nil {
				t.Errorf("%d of %d are marked, %v", replayed, total, err)
			}
			if err := ledger.ReplayDeadLetters(t.Context(), conn, batches, send); err != nil {
				t.Fatal(err)
			}
			if want := map[string]int{"before the send": 0, "after the send": 10}[moment]; outcomes[ledger.Posted] != 35 || outcomes[ledger.Duplicate] != want {
				t.Errorf("outcomes %v", outcomes)
			}
			if left, err := l.DeadLetters(t.Context(), 100, false); len(left) != 0 || err != nil {
				t.Errorf("%d are left, %v", len(left), err)
			}
			noDrift(t, l)
		})
	}
}

// TestReplayKilled ends the database session, as a kill of the process does, between the send and the mark.
func TestReplayKilled(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 2)
	conn := dial(t, pool.Config().ConnConfig)
	keepLetters(t, conn, 3)
	outcomes := map[string]int{}
	send := poster(l, outcomes)
	err := ledger.ReplayDeadLetters(t.Context(), conn, batches, func(ctx context.Context, queue string, letters []ledger.DeadLetter) error {
		err := send(ctx, queue, letters)
		scan[bool](t, pool, "SELECT pg_terminate_backend($1)", conn.PgConn().PID())
		return err
	})
	if err == nil {
		t.Fatal("a session that was ended says that all is well")
	}
	if err := ledger.ReplayDeadLetters(t.Context(), dial(t, pool.Config().ConnConfig), batches, send); err != nil {
		t.Fatal(err)
	}
	if outcomes[ledger.Posted] != 3 || outcomes[ledger.Duplicate] != 3 {
		t.Errorf("outcomes %v", outcomes)
	}
}

func TestReplayBounds(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 2)
	conn := dial(t, pool.Config().ConnConfig)
	keepLetters(t, conn, 25)
	replay := func(b ledger.ReplayBounds) (sizes []int) {
		t.Helper()
		err := ledger.ReplayDeadLetters(t.Context(), conn, b, func(_ context.Context, _ string, letters []ledger.DeadLetter) error {
			sizes = append(sizes, len(letters))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return sizes
	}
	dry := batches
	dry.DryRun, dry.IDs = true, []string{}
	for range 2 { // a dry run marks nothing
		if got := replay(dry); !slices.Equal(got, []int{10, 10, 5}) {
			t.Errorf("dry run: %v", got)
		}
	}
	few := batches
	few.Limit = 12
	if got := replay(few); !slices.Equal(got, []int{10, 2}) {
		t.Errorf("at most 12: %v", got)
	}
	small := batches
	small.MaxBytes = 400
	sum := 0
	for _, n := range replay(small) {
		if sum += n; n > 4 {
			t.Errorf("%d letters of more than 100 bytes in 400", n)
		}
	}
	if sum != 13 {
		t.Errorf("by bytes %d were sent", sum)
	}
	if got := replay(batches); got != nil {
		t.Errorf("nothing is left, and %v were sent", got)
	}
	named := batches
	named.IDs = []string{"m-003"}
	if got := replay(named); !slices.Equal(got, []int{1}) {
		t.Errorf("a named one is sent again: %v", got)
	}
	named.IDs = []string{"m-003", "no-such"}
	if err := ledger.ReplayDeadLetters(t.Context(), conn, named, nil); !errors.Is(err, fault.NotFound) {
		t.Errorf("a name that is not there: %v", err)
	}
	if left, err := l.DeadLetters(t.Context(), 3, true); len(left) != 3 || err != nil || left[0].MessageID != "m-000" || left[0].Replayed == nil {
		t.Errorf("%+v, %v", left, err)
	}
}

// TestTheSameRunDoesNotGoRound keeps a letter again as soon as it is sent, as a consumer does that still fails.
func TestTheSameRunDoesNotGoRound(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 2)
	conn, other := dial(t, pool.Config().ConnConfig), dial(t, pool.Config().ConnConfig)
	keepLetters(t, conn, 3)
	sent := 0
	err := ledger.ReplayDeadLetters(t.Context(), conn, batches, func(ctx context.Context, _ string, letters []ledger.DeadLetter) error {
		sent += len(letters)
		raw, _ := json.Marshal([]map[string]any{{"id": uuid.NewString(), "sent_ms": 1, "attempts": 101, "body": 1}})
		_, err := other.Exec(ctx, "SELECT ledger.keep_dead_letters('dlq', $1::text::json)", string(raw))
		return err
	})
	if err != nil || sent != 3 {
		t.Errorf("%d were sent, %v", sent, err)
	}
	if left, _ := l.DeadLetters(t.Context(), 10, false); len(left) != 1 {
		t.Errorf("%d came back", len(left))
	}
}

// TestTailShowsEachUseOnce follows while many write at once, and transactions end in another order than they begin.
func TestTailShowsEachUseOnce(t *testing.T) {
	t.Parallel()
	l, pool := open(t, 4)
	conn := dial(t, pool.Config().ConnConfig)
	post(t, l, event(ledger.Usage, "old@a.test", 1), event(ledger.Usage, "ann@a.test", 2), event(ledger.Grant, "ann@a.test", 3))
	tail, err := ledger.NewTail(t.Context(), conn, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uuid.UUID]int{}
	look := func() {
		t.Helper()
		uses, err := tail.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range uses {
			seen[u.ID]++
		}
	}
	if look(); len(seen) != 1 {
		t.Fatalf("began with %d", len(seen))
	}
	slow, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	late := event(ledger.Usage, "late@a.test", 1)
	if _, err := ledger.New(slow).PostBatch(t.Context(), []ledger.Event{late}, true); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		post(t, l, event(ledger.Usage, "ann@a.test", 1), event(ledger.Usage, "bob@b.test", 1))
		look()
	}
	if err := slow.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	look()
	look()
	if len(seen) != 12 || seen[late.ID] != 1 {
		t.Errorf("saw %d uses, the late one %d times", len(seen), seen[late.ID])
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was shown %d times", id, n)
		}
	}
	if _, err := ledger.NewTail(t.Context(), conn, "nobody@x.test", 1); !errors.Is(err, fault.NotFound) {
		t.Errorf("an account that is not there: %v", err)
	}
}
