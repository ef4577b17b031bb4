package recount

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// readHolds adds up what is set aside, and what holds say was captured of them.
func (c *count) readHolds(ctx context.Context) error {
	return c.each(ctx, "read the holds", "SELECT id, account_id, amount, state, captured FROM ledger.hold", func(raw [][]byte) error {
		var n [3]int64
		for i, from := range [][]byte{raw[1], raw[2], raw[4]} {
			var err error
			if n[i], err = bigint(from); err != nil {
				return err
			}
		}
		c.report.Holds++
		a := c.account(n[0])
		if string(raw[3]) == "pending" {
			a.pending.add(n[1])
		}
		a.captured.add(c.seed, raw[0], n[2])
		return nil
	})
}

// compareAccounts holds every balance row against what its account's rows came to.
func (c *count) compareAccounts(ctx context.Context) error {
	var uneven []int64
	err := c.each(ctx, "read the balances", `SELECT coalesce(a.id, b.account_id), a.ref, b.debits, b.credits, b.held, b.overage, b.floor
		FROM ledger.account a FULL JOIN ledger.balance b ON b.account_id = a.id`, func(raw [][]byte) error {
		id, err := bigint(raw[0])
		if err != nil {
			return err
		}
		c.report.Accounts++
		a, name := c.account(id), string(raw[1])
		if raw[1] == nil {
			name = "account " + strconv.FormatInt(id, 10)
			c.report.add("no_account", name, "a balance without an account")
		}
		delete(c.accounts, id)
		if a.captured != a.settled {
			uneven = append(uneven, id)
		}
		return c.compareBalance(id, name, a, raw[2:])
	})
	if err != nil {
		return err
	}
	c.orphans()
	if len(uneven) > 0 {
		return c.unevenHolds(ctx, uneven)
	}
	return nil
}

func (c *count) compareBalance(id int64, name string, a *account, raw [][]byte) error {
	switch {
	case id < firstCustomer && raw[0] == nil:
		return nil // what the system's own accounts have follows from the journal alone
	case id < firstCustomer:
		c.report.add("balance", name, "one of the system's own accounts has a balance row")
		return nil
	case raw[0] == nil:
		c.report.add("no_balance", name, "it has no balance row")
		return nil
	}
	var says [5]int64
	for i := range says {
		var err error
		if says[i], err = bigint(raw[i]); err != nil {
			return err
		}
	}
	for i, side := range []struct {
		what    string
		journal sum
	}{{"debits", a.debits}, {"credits", a.credits}, {"held", a.pending}, {"overage", a.owed}} {
		if !side.journal.is(says[i]) {
			c.report.add("balance", name, fmt.Sprintf("%s is %d, and its rows add up to %s", side.what, says[i], side.journal))
		}
	}
	if left := says[1] - says[0] - says[2]; left < says[4] {
		c.report.add("below_floor", name, fmt.Sprintf("%d is available, below its floor of %d", left, says[4]))
	}
	return nil
}

// orphans are ids that the journal or a hold names and no account has.
func (c *count) orphans() {
	ids := make([]int64, 0, len(c.accounts))
	for id := range c.accounts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		a := c.accounts[id]
		c.report.add("no_account", "account "+strconv.FormatInt(id, 10), fmt.Sprintf("it does not exist, and the journal takes %s from it and gives it %s", a.debits, a.credits))
	}
}

// unevenHolds names the holds of accounts whose captures do not fit; only here does the database do the adding.
func (c *count) unevenHolds(ctx context.Context, accounts []int64) error {
	rows, err := c.tx.Query(ctx, `
		WITH settled AS (
			SELECT ref, sum(amount)::bigint AS amount FROM ledger.transfer
			WHERE kind = 'capture' AND (debit_id = ANY ($1) OR owed_by = ANY ($1)) GROUP BY ref),
		said AS (SELECT id, captured FROM ledger.hold WHERE account_id = ANY ($1) AND captured > 0)
		SELECT coalesce(said.id, settled.ref), coalesce(said.captured, 0), coalesce(settled.amount, 0)
		FROM said FULL JOIN settled ON settled.ref = said.id
		WHERE coalesce(said.captured, 0) <> coalesce(settled.amount, 0) ORDER BY 1`, accounts)
	if err != nil {
		return pgurl.Explain("look for uneven holds", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id *uuid.UUID
		var said, settled int64
		if err := rows.Scan(&id, &said, &settled); err != nil {
			return pgurl.Explain("look for uneven holds", err)
		}
		where := "a capture without a hold"
		if id != nil {
			where = "hold " + id.String()
		}
		c.report.add("hold", where, fmt.Sprintf("%d was captured by what it says, and the journal moved %d for it", said, settled))
	}
	return pgurl.Explain("look for uneven holds", rows.Err())
}

// compareAdjustments holds the audit trail against the transfers that it says were made.
func (c *count) compareAdjustments(ctx context.Context) error {
	rows, err := c.tx.Query(ctx, `SELECT j.id, j.account_id, j.applied, t.debit_id, t.credit_id, t.amount
		FROM ledger.adjustment j LEFT JOIN ledger.transfer t ON t.id = j.id`)
	if err != nil {
		return pgurl.Explain("read the adjustments", err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			id                    uuid.UUID
			account, applied      int64
			debit, credit, amount *int64
		)
		if err := rows.Scan(&id, &account, &applied, &debit, &credit, &amount); err != nil {
			return pgurl.Explain("read the adjustments", err)
		}
		c.report.Adjustments++
		if wrong := adjustmentWrong(account, applied, debit, credit, amount); wrong != "" {
			c.report.add("adjustment", "adjustment "+id.String(), wrong)
		}
	}
	return pgurl.Explain("read the adjustments", rows.Err())
}

func adjustmentWrong(account, applied int64, debit, credit, amount *int64) string {
	switch {
	case applied == 0 && amount == nil:
		return ""
	case applied == 0:
		return "it says that it changed nothing, and the journal has a transfer of its id"
	case amount == nil:
		return fmt.Sprintf("it says that it moved %d, and the journal has no transfer of its id", applied)
	case applied > 0 && *credit == account && *amount == applied, applied < 0 && *debit == account && *amount == -applied:
		return ""
	}
	return fmt.Sprintf("it says that it moved %d for account %d, and the journal moved %d from account %d to account %d", applied, account, *amount, *debit, *credit)
}
