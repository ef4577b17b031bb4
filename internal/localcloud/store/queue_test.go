package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/google/go-cmp/cmp"
)

func send(t testing.TB, s *store.Store, bodies ...string) {
	t.Helper()
	var ms []store.Message
	for _, b := range bodies {
		ms = append(ms, store.Message{ID: "id-" + b, Body: []byte(b), ContentType: "text"})
	}
	must(t, s.Queues().Send("q", ms))
}

// lease gives the bodies of what is leased for a minute, each with its attempts.
func lease(t testing.TB, s *store.Store, queue string, limit int) (got []string) {
	t.Helper()
	leased, err := s.Queues().Lease(queue, limit, 0, time.Minute)
	must(t, err)
	for _, l := range leased {
		got = append(got, fmt.Sprintf("%s#%d", l.Body, l.Attempts))
	}
	return got
}

func wantLease(t testing.TB, s *store.Store, queue, want string) {
	t.Helper()
	if got := strings.Join(lease(t, s, queue, 100), " "); got != want {
		t.Fatalf("leased %q, want %q", got, want)
	}
}

func wantDepth(t testing.TB, s *store.Store, want store.Depth) {
	t.Helper()
	got, err := s.Queues().Depth("q")
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	count, size, oldest, err := s.Queues().Backlog("q")
	if err != nil || count != want.Count || size != want.Bytes || !oldest.Equal(want.Oldest) {
		t.Fatalf("backlog %d %d %s %v", count, size, oldest, err)
	}
}

func TestQueueStory(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := account(t, dir, store.Options{Now: c.Now})
	q, start := s.Queues(), c.Now()
	send(t, s, "a", "b")
	must(t, q.Send("q", []store.Message{{ID: "id-late", Body: []byte("late"), Delay: 10 * time.Second}}))
	wantDepth(t, s, store.Depth{Count: 3, Bytes: 6, Ready: 2, Delayed: 1, Oldest: start})
	wantLease(t, s, "q", "a#1 b#1")
	wantLease(t, s, "q", "")
	wantDepth(t, s, store.Depth{Count: 3, Bytes: 6, Delayed: 1, InFlight: 2, Oldest: start})

	must(t, q.Retry("q", "id-b", 10*time.Second)) // due with late, and sent before it
	c.Advance(10 * time.Second)
	wantLease(t, s, "q", "b#2 late#1")
	must(t, q.Ack("q", "id-late"))
	c.Advance(51 * time.Second) // a's lease ended, b's did not
	wantDepth(t, s, store.Depth{Count: 2, Bytes: 2, Ready: 1, InFlight: 1, Oldest: start})
	wantLease(t, s, "q", "a#2")

	wantKind(t, q.Ack("q", "id-late", "id-a"), fault.NotFound) // and still acknowledges a
	wantDepth(t, s, store.Depth{Count: 1, Bytes: 1, InFlight: 1, Oldest: start})
	must(t, q.Purge("q"))
	wantDepth(t, s, store.Depth{})
	wantKind(t, q.Ack("q", "id-b"), fault.NotFound)
	send(t, s, "after")
	wantLease(t, s, "q", "after#1")
	must(t, q.Drop("q"))
	must(t, q.Drop("q"))
	wantKind(t, q.Send("q", nil), fault.NotFound)
}

func TestQueueLeasesEndWithTheProcess(t *testing.T) {
	t.Parallel()
	c, dir := newClock(), t.TempDir()
	s := account(t, dir, store.Options{Now: c.Now})
	send(t, s, "a", "b")
	wantLease(t, s, "q", "a#1 b#1")
	must(t, s.Queues().Ack("q", "id-a"))
	must(t, s.Close())
	s = open(t, dir, store.Options{Now: c.Now})
	if !signalled(s.Queues().Ready("q")) {
		t.Error("nobody is told of the messages that wait")
	}
	wantLease(t, s, "q", "b#2")
}

func TestQueueLeaseBounds(t *testing.T) {
	t.Parallel()
	s := account(t, t.TempDir(), store.Options{Now: newClock().Now})
	send(t, s, "aaaa", "bbbb", "cccc", "dddd")
	for _, step := range []struct {
		limit, maxBytes int
		want            string
	}{{2, 0, "aaaa bbbb"}, {2, 3, "cccc"}, {9, 100, "dddd"}, {9, 100, ""}} {
		leased, err := s.Queues().Lease("q", step.limit, step.maxBytes, time.Second)
		must(t, err)
		var got []string
		for _, l := range leased {
			got = append(got, string(l.Body))
		}
		if strings.Join(got, " ") != step.want {
			t.Errorf("limit %d, %d bytes: %v, want %s", step.limit, step.maxBytes, got, step.want)
		}
	}
	for _, bad := range []struct {
		limit      int
		visibility time.Duration
	}{{0, time.Second}, {1, 0}, {1, 13 * time.Hour}} {
		_, err := s.Queues().Lease("q", bad.limit, 0, bad.visibility)
		wantKind(t, err, fault.Invalid)
	}
}

func TestQueueRefuses(t *testing.T) {
	t.Parallel()
	s := account(t, t.TempDir(), store.Options{})
	tests := map[string]struct {
		m    store.Message
		want fault.Kind
	}{
		"the largest message": {store.Message{Body: make([]byte, 128_000)}, ""},
		"a byte more":         {store.Message{Body: make([]byte, 128_001)}, fault.TooLarge},
		"the longest delay":   {store.Message{Delay: 24 * time.Hour}, ""},
		"a longer delay":      {store.Message{Delay: 24*time.Hour + 1}, fault.Invalid},
		"a negative delay":    {store.Message{Delay: -1}, fault.Invalid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before, _, _, err := s.Queues().Backlog("q")
			must(t, err)
			wantKind(t, s.Queues().Send("q", []store.Message{{}, test.m}), test.want)
			after, _, _, err := s.Queues().Backlog("q")
			if must(t, err); test.want != "" && after != before {
				t.Errorf("part of a refused batch was sent")
			}
		})
	}
}

func TestQueueRetention(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := account(t, t.TempDir(), store.Options{Now: c.Now})
	must(t, s.Update(func(tx *store.Tx) error { return tx.Put(store.Queues, "q", store.Queue{ID: "q", RetentionS: 60}) }))
	send(t, s, "leased", "retried", "old")
	leased, err := s.Queues().Lease("q", 2, 0, 10*time.Minute)
	if must(t, err); len(leased) != 2 {
		t.Fatalf("leased %d", len(leased))
	}
	must(t, s.Queues().Retry("q", "id-retried", 30*time.Second))
	c.Advance(59 * time.Second)
	start := c.Now()
	send(t, s, "new")
	c.Advance(time.Second)
	wantDepth(t, s, store.Depth{Count: 2, Bytes: 9, Ready: 1, InFlight: 1, Oldest: start.Add(-59 * time.Second)})
	wantLease(t, s, "q", "new#1")
	must(t, s.Queues().Ack("q", "id-leased", "id-new"))
	wantDepth(t, s, store.Depth{})
}

func TestQueueDeadLetters(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := account(t, t.TempDir(), store.Options{Now: c.Now})
	send(t, s, "a", "b", "c", "d")
	wantLease(t, s, "q", "a#1 b#1 c#1 d#1")
	err := s.Queues().Settle("q", store.Settlement{Ack: []string{"id-a"}, DeadLetter: []string{"id-b"}, DeadLetterQueue: "nope"})
	wantKind(t, err, fault.NotFound)
	wantDepth(t, s, store.Depth{Count: 4, Bytes: 4, InFlight: 4, Oldest: c.Now()}) // nothing of it happened
	must(t, s.Queues().Settle("q", store.Settlement{
		Ack: []string{"id-a"}, Retry: []store.Retrial{{ID: "id-c"}}, DeadLetter: []string{"id-b"}, DeadLetterQueue: "dlq",
	}))
	must(t, s.Queues().Settle("q", store.Settlement{DeadLetter: []string{"id-d"}})) // without a queue for them they are deleted
	wantLease(t, s, "q", "c#2")
	wantLease(t, s, "dlq", "b#1")
	wantKind(t, s.Queues().Settle("q", store.Settlement{DeadLetter: []string{"id-c"}, DeadLetterQueue: "q"}), fault.Invalid)
}

func TestQueueReady(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := account(t, t.TempDir(), store.Options{Now: c.Now})
	ready := s.Queues().Ready("q")
	wants := func(want bool, when string) {
		t.Helper()
		if s.Queues().Wake(); signalled(ready) != want {
			t.Fatalf("%s: signal is %v", when, !want)
		}
	}
	wants(false, "an empty queue")
	must(t, s.Queues().Send("q", []store.Message{{Delay: time.Minute}}))
	wants(false, "a delayed message")
	c.Advance(time.Minute)
	wants(true, "the end of the delay")
	send(t, s, "a", "b")
	wants(true, "a send")
	if got := lease(t, s, "q", 1); len(got) != 1 {
		t.Fatal(got)
	}
	wants(true, "a lease that left some")
	lease(t, s, "q", 10)
	wants(false, "everything leased")
	c.Advance(time.Minute)
	wants(true, "the end of the leases")
	lease(t, s, "q", 10)
	must(t, s.Queues().Retry("q", "id-a", 0))
	wants(true, "a retry")
}

// The one test with the real clock: nobody calls Wake, so only the timer can tell.
func TestQueueReadyByItsTimer(t *testing.T) {
	t.Parallel()
	s := account(t, t.TempDir(), store.Options{})
	must(t, s.Queues().Send("q", []store.Message{{Body: []byte("x"), Delay: 20 * time.Millisecond}}))
	select {
	case <-s.Queues().Ready("q"):
	case <-time.After(10 * time.Second):
		t.Fatal("no signal at the end of a delay")
	}
	wantLease(t, s, "q", "x#1")
}

func TestQueueLeaseIDs(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := account(t, t.TempDir(), store.Options{Now: c.Now})
	must(t, s.Queues().Send("q", []store.Message{{Body: []byte("x")}}))
	first, err := s.Queues().Lease("q", 1, 0, time.Second)
	must(t, err)
	if id, err := s.Queues().ResolveLease("q", first[0].LeaseID); err != nil || id != first[0].ID || len(id) != 32 {
		t.Errorf("resolved %q, %v", id, err)
	}
	c.Advance(time.Second)
	second, err := s.Queues().Lease("q", 1, 0, time.Second)
	if must(t, err); len(second) != 1 {
		t.Fatal("not delivered again")
	}
	for _, lease := range []string{first[0].LeaseID, "", ".", "a.b", second[0].ID} {
		_, err := s.Queues().ResolveLease("q", lease)
		wantKind(t, err, fault.NotFound)
	}
	if id, err := s.Queues().ResolveLease("q", second[0].LeaseID); err != nil || id != first[0].ID {
		t.Errorf("resolved %q, %v", id, err)
	}
}

func TestQueuePeek(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := account(t, t.TempDir(), store.Options{Now: c.Now})
	send(t, s, "a", "b", "c")
	lease(t, s, "q", 1)
	var got []string
	for range 2 { // peeking changes nothing
		all, err := s.Queues().Peek("q", 10)
		must(t, err)
		got = nil
		for _, m := range all {
			got = append(got, fmt.Sprintf("%s %d %v", m.Body, m.Attempts, m.InFlight))
		}
	}
	if diff := cmp.Diff([]string{"b 0 false", "c 0 false", "a 1 true"}, got); diff != "" {
		t.Error(diff)
	}
}

// One transaction sends, one leases and one acknowledges a batch of a hundred 1 KB messages.
func BenchmarkQueue(b *testing.B) {
	s := account(b, b.TempDir(), store.Options{})
	batch := make([]store.Message, 100)
	for i := range batch {
		batch[i].Body = make([]byte, 1000)
	}
	ids := make([]string, len(batch))
	for b.Loop() {
		must(b, s.Queues().Send("q", batch))
		leased, err := s.Queues().Lease("q", len(batch), 0, time.Minute)
		if err != nil || len(leased) != len(batch) {
			b.Fatal(len(leased), err)
		}
		for i, l := range leased {
			ids[i] = l.ID
		}
		must(b, s.Queues().Ack("q", ids...))
	}
	b.ReportMetric(float64(b.N*len(batch))/b.Elapsed().Seconds(), "events/s")
}

// The same with a backlog of 200,000 that the consumer is behind.
func BenchmarkQueueBehind(b *testing.B) {
	s := account(b, b.TempDir(), store.Options{})
	batch := make([]store.Message, 100)
	for i := range batch {
		batch[i].Body = make([]byte, 1000)
	}
	for range 2000 {
		must(b, s.Queues().Send("q", batch))
	}
	ids := make([]string, len(batch))
	for b.Loop() {
		must(b, s.Queues().Send("q", batch))
		leased, err := s.Queues().Lease("q", len(batch), 0, time.Minute)
		must(b, err)
		for i, l := range leased {
			ids[i] = l.ID
		}
		must(b, s.Queues().Ack("q", ids...))
	}
	b.ReportMetric(float64(b.N*len(batch))/b.Elapsed().Seconds(), "events/s")
}

// Producers that send one message at a time share commits.
func BenchmarkQueueSendSingles(b *testing.B) {
	s := account(b, b.TempDir(), store.Options{})
	one := []store.Message{{Body: make([]byte, 1000)}}
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			must(b, s.Queues().Send("q", one))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
