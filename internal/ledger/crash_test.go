package ledger_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/localpg"
)

// watchFloor looks at every balance until it is told to stop, and says how often it did.
func watchFloor(t *testing.T, query func(context.Context, string, ...any) pgx.Row, stop <-chan struct{}) (looks int64) {
	for {
		select {
		case <-stop:
			return looks
		case <-time.After(2 * time.Millisecond):
		}
		var below int64
		if err := query(context.Background(), "SELECT count(*) FROM ledger.balance WHERE credits - debits - held < floor").Scan(&below); err != nil || below > 0 {
			t.Errorf("%d balances are below their floor (%v)", below, err)
			return looks
		}
		looks++
	}
}

// TestNothingIsLostWhenPostgresIsKilled posts events with duplicates while PostgreSQL is killed with -9 twice: a batch whose answer
// was lost is posted again, and the journal holds every event once.
func TestNothingIsLostWhenPostgresIsKilled(t *testing.T) {
	t.Parallel()
	const events, batchSize, writers = 6_000, 50, 3
	db := &mortal{t: t, dir: filepath.Join(t.TempDir(), "pg")}
	db.start()
	t.Cleanup(func() { _ = db.server.Stop(context.Background()) })
	must(t, migrate(db.server.URL("postgres")))

	batches, want := generate(events, batchSize)
	var posted, killed atomic.Int64
	work := make(chan []ledger.Event)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for b := range work {
				db.post(b)
				posted.Add(1)
			}
		})
	}
	for i, b := range batches {
		if i == len(batches)/3 || i == 2*len(batches)/3 {
			wg.Go(func() { db.kill(); killed.Add(1) })
		}
		work <- b
	}
	close(work)
	wg.Wait()
	if killed.Load() != 2 || int(posted.Load()) != len(batches) {
		t.Fatalf("%d kills, %d of %d batches", killed.Load(), posted.Load(), len(batches))
	}
	pool := connect(t, db.server.URL("postgres"), 1)
	var rows, sum int64
	must(t, pool.QueryRow(t.Context(), "SELECT count(*), sum(amount)::bigint FROM ledger.transfer").Scan(&rows, &sum))
	if rows != events || sum != want {
		t.Errorf("the journal holds %d events of %d, %d micro-credits of %d", rows, events, sum, want)
	}
	if n := scan[int](t, pool, "SELECT count(*) FROM ledger.review"); n != 0 {
		t.Errorf("%d rows for review", n)
	}
	noDrift(t, ledger.New(pool))
}

// generate makes batches of unique events, with one in twenty delivered again later, out of order.
func generate(n, size int) (batches [][]ledger.Event, total int64) {
	var stream []ledger.Event
	for i := range n {
		e := event(ledger.Usage, string(rune('a'+i%20))+"@example.test", 1+rand.Int64N(1000))
		total += e.Amount
		stream = append(stream, e)
		if i%20 == 0 {
			stream = append(stream, stream[rand.IntN(len(stream))])
		}
	}
	for at := 0; at < len(stream); at += size {
		b := append([]ledger.Event(nil), stream[at:min(at+size, len(stream))]...)
		rand.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
		batches = append(batches, b)
	}
	return batches, total
}

// mortal is a server that is killed and started again.
type mortal struct {
	t      *testing.T
	dir    string
	mu     sync.Mutex // held while the server is replaced
	server *localpg.Server
	pool   *pgxpool.Pool
}

func (m *mortal) start() {
	binaries, err := localpg.FindBinaries("../../workers/node_modules")
	must(m.t, err)
	s, err := localpg.Start(context.Background(), localpg.Config{Dir: m.dir, Binaries: binaries, Bound: true})
	if err != nil {
		m.t.Error(err)
		return
	}
	m.server, m.pool = s, connect(m.t, s.URL("postgres"), 4)
}

func (m *mortal) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := syscall.Kill(m.server.PID, syscall.SIGKILL); err != nil {
		m.t.Error(os.NewSyscallError("kill", err))
	}
	_ = m.server.Stop(context.Background()) // it is dead: this waits until it is gone, and frees its lock
	m.start()
}

// post delivers a batch until it is acknowledged.
func (m *mortal) post(batch []ledger.Event) {
	deadline := time.Now().Add(60 * time.Second)
	for time.Now().Before(deadline) {
		m.mu.Lock()
		pool := m.pool
		m.mu.Unlock()
		if _, err := ledger.New(pool).PostBatch(context.Background(), batch, true); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	m.t.Errorf("a batch was not acknowledged in time, first id %s", batch[0].ID)
}
