// Package recount adds the journal up again, in one pass and without the database's arithmetic, and says where balances, holds and adjustments disagree with it.
package recount

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// The system's own accounts, as the migration that opened the journal numbers them.
const (
	revenue       = 1
	grants        = 2
	overage       = 3
	firstCustomer = 1000
)

// mostListed bounds the findings that are named; the rest are counted.
const mostListed = 100

// Finding is one way in which what the database keeps and what its journal adds up to disagree.
type Finding struct {
	Code    string `json:"code"`    // stable: "balance", "no_account", "transfer_sides"
	Where   string `json:"where"`   // an account, a transfer or a hold, by the name other commands take
	Message string `json:"message"` // what is wrong with it
}

// Total is what a kind of transfer came to.
type Total struct {
	Kind        string `json:"kind"`
	Transfers   int64  `json:"transfers"`
	AmountMicro string `json:"amount_micro"` // text: a sum may be beyond what JSON's readers keep exactly
}

// Report is what was counted and what was found.
type Report struct {
	Transfers   int64         `json:"transfers"`
	Accounts    int64         `json:"accounts"`
	Holds       int64         `json:"holds"`
	Adjustments int64         `json:"adjustments"`
	Totals      []Total       `json:"totals"`
	Digest      string        `json:"digest"` // of the journal's rows as a set: two ledgers with the same one hold the same journal
	Findings    []Finding     `json:"findings"`
	Unlisted    int64         `json:"findings_unlisted"` // beyond those that are named
	Took        time.Duration `json:"-"`
}

// Sound is true when nothing disagrees.
func (r *Report) Sound() bool { return len(r.Findings) == 0 && r.Unlisted == 0 }

func (r *Report) add(code, where, message string) {
	if len(r.Findings) >= mostListed {
		r.Unlisted++
		return
	}
	r.Findings = append(r.Findings, Finding{code, where, message})
}

// account is what one account's rows came to.
type account struct {
	debits, credits, owed, pending sum
	captured, settled              fingerprint // of holds, and of the transfers that settle them
}

type count struct {
	tx       pgx.Tx
	report   *Report
	seed     maphash.Seed
	accounts map[int64]*account
	totals   map[string]*tally
	journal  digest
}

type tally struct {
	transfers int64
	amount    sum
}

// Run reads one moment of the ledger, while others go on writing. What it holds grows with the accounts, never with the journal.
// progress may be nil; it is told how many transfers were read, of about how many.
func Run(ctx context.Context, conn *pgx.Conn, progress func(done, about int64)) (*Report, error) {
	began := time.Now()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, pgurl.Explain("begin reading the ledger", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	c := &count{tx: tx, report: &Report{Findings: []Finding{}}, seed: maphash.MakeSeed(), accounts: map[int64]*account{}, totals: map[string]*tally{}}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return c.readJournal(ctx, progress) }, c.readHolds, c.compareAccounts, c.compareAdjustments,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	c.finish()
	c.report.Took = time.Since(began)
	return c.report, nil
}

func (c *count) account(id int64) *account {
	a := c.accounts[id]
	if a == nil {
		a = &account{}
		c.accounts[id] = a
	}
	return a
}

// each runs fn on the rows of a query, as the raw bytes that came.
func (c *count) each(ctx context.Context, doing, sql string, fn func(row [][]byte) error) error {
	rows, err := c.tx.Query(ctx, sql, pgx.QueryResultFormats{pgx.BinaryFormatCode})
	if err != nil {
		return pgurl.Explain(doing, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.RawValues()); err != nil {
			return fault.New(fault.Internal, "%s: %w", doing, err)
		}
	}
	return pgurl.Explain(doing, rows.Err())
}
