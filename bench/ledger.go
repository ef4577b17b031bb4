package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/ledger/recount"
)

const (
	longJournal, shortJournal = 1_000_000, 100_000
	fallbacksRound            = 100
	pageEntries               = 25
	pagesRound                = 50
	busyAccount               = "journal0@example.test"
)

// onLedger gives what measures with the database a connection of its own.
func onLedger(measure func(context.Context, *stage, *pgx.Conn, options) ([]figure, error)) func(context.Context, *stage, options) ([]figure, error) {
	return func(ctx context.Context, s *stage, o options) ([]figure, error) {
		db, err := s.ledger(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { _ = db.Close(context.WithoutCancel(ctx)) }()
		return measure(ctx, s, db, o)
	}
}

// reader gives an account a balance, and says where KV keeps its copy and how the account proves who it is.
func (s *stage) reader(ctx context.Context, db *pgx.Conn) (namespace, bearer string, err error) {
	if err := post(ctx, db, events(readerAccount, 1)); err != nil {
		return "", "", err
	}
	if namespace, err = s.namespace(ctx, "cognomega-billing"); err != nil {
		return "", "", err
	}
	bearer, err = s.bearer(ctx, readerAccount)
	return namespace, bearer, err
}

// fallback is how long a caller waits for a balance that KV has no copy of: the copy is taken away before each request.
func fallback(ctx context.Context, s *stage, db *pgx.Conn, o options) ([]figure, error) {
	namespace, bearer, err := s.reader(ctx, db)
	if err != nil {
		return nil, err
	}
	balance := load{dial: s.edge, request: get(apiHost, "/api/credits", bearer), connections: 1, requests: 1}
	entry := "/accounts/" + s.endpoints.AccountID + "/storage/kv/namespaces/" + namespace + "/values/" + url.PathEscape("balance:"+readerAccount)
	f := figure{Name: "GET /api/credits from the ledger, P90", Against: "a budget", Unit: "ms", Bound: 500, RawUnits: "ms"}
	for round := range o.rounds + 1 {
		took := make([]float64, fallbacksRound)
		for i := range took {
			if _, err := s.call(ctx, http.MethodDelete, entry, "", nil); err != nil {
				return nil, err
			}
			answered, err := balance.run(ctx)
			if err != nil {
				return nil, err
			}
			took[i] = float64(answered) / float64(time.Millisecond)
		}
		if round == 0 {
			continue
		}
		slices.Sort(took)
		f.keep("median", took[fallbacksRound/2])
		f.Rounds = append(f.Rounds, took[fallbacksRound*9/10-1])
	}
	return []figure{f}, nil
}

// journal reads a ledger of a million rows: pages of the account that has a quarter of them, and all of it as verify does.
func journal(ctx context.Context, s *stage, db *pgx.Conn, o options) ([]figure, error) {
	page := figure{Name: "a page of a statement, in a ledger of 1,000,000 rows", Against: "a budget", Unit: "ms", Bound: 20}
	verify := figure{Name: "adding up 1,000,000 rows, as ledger verify does", Against: "a budget", Unit: "s", Bound: 5, RawUnits: "rows/s"}
	memory := figure{Name: "what that allocates", Against: "a ledger of 100,000 rows", Unit: "x", Bound: 1.5, RawUnits: "bytes"}
	if err := growJournal(ctx, db, 0, shortJournal); err != nil {
		return nil, err
	}
	_, short, _, err := verified(ctx, db)
	if err == nil {
		err = growJournal(ctx, db, shortJournal, longJournal)
	}
	if err != nil {
		return nil, err
	}
	for range o.rounds {
		took, allocated, rows, err := verified(ctx, db)
		if err != nil {
			return nil, err
		}
		verify.keep("speed", rows/took)
		verify.Rounds = append(verify.Rounds, longJournal/(rows/took))
		memory.keep("allocated", allocated)
		memory.Rounds = append(memory.Rounds, allocated/short)
		waited, err := pageTime(ctx, db)
		if err != nil {
			return nil, err
		}
		page.Rounds = append(page.Rounds, waited)
	}
	return []figure{page, verify, memory}, nil
}

// growJournal adds the rows from one number to another, and the balances that fit them, beside what the platform wrote.
func growJournal(ctx context.Context, db *pgx.Conn, from, to int) error {
	const first = 1_000_000_000 // far from the accounts that the ledger opens
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO ledger.account (id, kind, ref) OVERRIDING SYSTEM VALUE
			SELECT %d + n, 'customer', 'journal' || n || '@example.test' FROM generate_series(0, 999) n ON CONFLICT DO NOTHING`, first),
		fmt.Sprintf(`INSERT INTO ledger.transfer (id, kind, debit_id, credit_id, amount, occurred_at)
			SELECT gen_random_uuid(), 'usage', %d + CASE WHEN n %% 4 = 0 THEN 0 ELSE n %% 1000 END, 1, 1 + n %% 7, now() - n * interval '1 second'
			FROM generate_series(%d, %d) n`, first, from+1, to),
		fmt.Sprintf(`DELETE FROM ledger.balance WHERE account_id >= %d`, first),
		fmt.Sprintf(`INSERT INTO ledger.balance (account_id, debits, floor)
			SELECT a.id, coalesce(sum(t.amount), 0), -1000000000 FROM ledger.account a LEFT JOIN ledger.transfer t ON t.debit_id = a.id
			WHERE a.id >= %d GROUP BY a.id`, first),
		"ANALYZE ledger.transfer",
	} {
		if _, err := db.Exec(ctx, sql); err != nil {
			return fault.New(fault.Unavailable, "load the journal: %w", err)
		}
	}
	return nil
}

// verified adds up the whole journal, and tells the seconds, the bytes allocated and the rows.
func verified(ctx context.Context, db *pgx.Conn) (seconds, allocated, rows float64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	r, err := recount.Run(ctx, db, nil)
	seconds = time.Since(start).Seconds()
	runtime.ReadMemStats(&after)
	if err != nil {
		return 0, 0, 0, err
	}
	if !r.Sound() {
		return 0, 0, 0, fault.New(fault.Inconclusive, "the journal that was loaded does not add up: %d findings, such as %v", len(r.Findings), r.Findings[:1])
	}
	return seconds, float64(after.TotalAlloc - before.TotalAlloc), float64(r.Transfers), nil
}

// pageTime is the median of pages that go back through the busiest account, in milliseconds.
func pageTime(ctx context.Context, db *pgx.Conn) (float64, error) {
	took := make([]float64, pagesRound)
	q := ledger.StatementQuery{Account: busyAccount, Limit: pageEntries}
	for i := range took {
		start := time.Now()
		page, err := ledger.ReadStatement(ctx, db, q)
		took[i] = float64(time.Since(start)) / float64(time.Millisecond)
		if err != nil {
			return 0, err
		}
		if len(page.Entries) != pageEntries || page.Next == "" {
			return 0, fault.New(fault.Inconclusive, "a page of %d entries, want %d", len(page.Entries), pageEntries)
		}
		q.Cursor = page.Next
	}
	return median(took), nil
}

// namespace finds a KV namespace by its title.
func (s *stage) namespace(ctx context.Context, title string) (string, error) {
	var namespaces []struct{ ID, Title string }
	if err := s.list(ctx, "/storage/kv/namespaces?per_page=100", &namespaces); err != nil {
		return "", err
	}
	for _, n := range namespaces {
		if n.Title == title {
			return n.ID, nil
		}
	}
	return "", fault.New(fault.NotFound, "the account has no namespace %s", title)
}

// bearer is the header by which a caller proves to be the account.
func (s *stage) bearer(ctx context.Context, account string) (string, error) {
	token, err := exec.CommandContext(ctx, filepath.Join(s.root, "bin", "cogctl"), "--dir", s.dir, "token", "mint", "--email", account).Output()
	if err != nil {
		return "", fault.New(fault.Unavailable, "mint a token: %w", err)
	}
	return "Authorization: Bearer " + strings.TrimSpace(string(token)), nil
}
