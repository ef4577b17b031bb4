package recount

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// progressEvery is how many transfers pass between two reports of progress.
const progressEvery = 20_000

// transfer is a row of the journal, its bytes only valid until the next one is read.
type transfer struct {
	id, kind, ref         []byte
	debit, credit, amount int64
	owedBy                int64 // 0: nobody
}

func (t transfer) name() string {
	id, err := uuid.FromBytes(t.id)
	if err != nil {
		return fmt.Sprintf("transfer %x", t.id)
	}
	return "transfer " + id.String()
}

// payer is the customer that a transfer concerns.
func (t transfer) payer() int64 {
	if t.owedBy != 0 {
		return t.owedBy
	}
	return t.debit
}

func (c *count) readJournal(ctx context.Context, progress func(done, about int64)) error {
	var about int64
	err := c.tx.QueryRow(ctx, "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'ledger.transfer'::regclass").Scan(&about)
	if err != nil {
		return pgurl.Explain("read the journal", err)
	}
	progress(0, about)
	row := make([]byte, 0, 256)
	return c.each(ctx, "read the journal", `SELECT id, kind, debit_id, credit_id, amount, owed_by, ref, occurred_at, recorded_at FROM ledger.transfer`,
		func(raw [][]byte) error {
			t, err := readTransfer(raw)
			if err != nil {
				return err
			}
			row = flatten(row[:0], raw)
			c.journal.add(row)
			c.post(t)
			if c.report.Transfers%progressEvery == 0 {
				progress(c.report.Transfers, max(about, c.report.Transfers))
			}
			return nil
		})
}

func readTransfer(raw [][]byte) (t transfer, err error) {
	t.id, t.kind, t.ref = raw[0], raw[1], raw[6]
	for _, f := range []struct {
		into *int64
		from []byte
		null bool
	}{{&t.debit, raw[2], false}, {&t.credit, raw[3], false}, {&t.amount, raw[4], false}, {&t.owedBy, raw[5], true}} {
		if f.null && f.from == nil {
			continue
		}
		if *f.into, err = bigint(f.from); err != nil {
			return t, err
		}
	}
	return t, nil
}

func bigint(raw []byte) (int64, error) {
	if len(raw) != 8 {
		return 0, fmt.Errorf("a bigint has 8 bytes, not %d", len(raw))
	}
	return int64(binary.BigEndian.Uint64(raw)), nil
}

// flatten writes the columns one after another, each with its length, so that no two rows look alike.
func flatten(to []byte, raw [][]byte) []byte {
	for _, column := range raw {
		if column == nil {
			to = append(to, 0xff)
			continue
		}
		to = append(to, byte(len(column)))
		to = append(to, column...)
	}
	return to
}

// post adds a transfer to both of its sides, as a bookkeeper would, and says what no bookkeeper would write.
func (c *count) post(t transfer) {
	c.report.Transfers++
	kind := c.totals[string(t.kind)]
	if kind == nil {
		kind = &tally{}
		c.totals[string(t.kind)] = kind
	}
	kind.transfers++
	if t.amount <= 0 {
		c.report.add("transfer_amount", t.name(), "it moves "+strconv.FormatInt(t.amount, 10)+" micro-credits")
		return
	}
	kind.amount.add(t.amount)
	c.account(t.debit).debits.add(t.amount)
	c.account(t.credit).credits.add(t.amount)
	if t.owedBy != 0 {
		c.account(t.owedBy).owed.add(t.amount)
	}
	if string(t.kind) == "capture" {
		c.account(t.payer()).settled.add(c.seed, t.ref, t.amount)
	}
	if wrong := t.wrongSides(); wrong != "" {
		c.report.add("transfer_sides", t.name(), wrong)
	}
}

func (t transfer) wrongSides() string {
	switch {
	case t.debit == t.credit:
		return "both of its sides are account " + strconv.FormatInt(t.debit, 10)
	case (t.debit == overage) != (t.owedBy != 0):
		return "overage is paid by system:overage and owed by somebody, or neither"
	case !t.rightSides():
		return fmt.Sprintf("a %s does not go from account %d to account %d", t.kind, t.debit, t.credit)
	}
	return ""
}

// rightSides tells whether a kind of transfer may go this way. An unknown kind goes no way.
func (t transfer) rightSides() bool {
	paid, given := t.debit >= firstCustomer, t.credit >= firstCustomer
	switch string(t.kind) {
	case "usage", "capture":
		return (paid || t.debit == overage) && t.credit == revenue
	case "charge":
		return paid && t.credit == grants
	case "grant":
		return given && t.debit == grants
	case "refund":
		return given && t.debit == revenue
	}
	return false
}

func (c *count) finish() {
	r := c.report
	r.Digest = c.journal.String()
	r.Totals = []Total{}
	for kind, t := range c.totals {
		r.Totals = append(r.Totals, Total{kind, t.transfers, t.amount.String()})
	}
	slices.SortFunc(r.Totals, func(a, b Total) int {
		if a.Kind < b.Kind {
			return -1
		}
		return 1
	})
}
