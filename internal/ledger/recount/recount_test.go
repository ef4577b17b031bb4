package recount_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/ledger/ledgertest"
	"github.com/cognomega/edge/internal/ledger/recount"
)

func TestALedgerThatLivedIsSound(t *testing.T) {
	t.Parallel()
	conn := bed.Open(t)
	if r := count(t, conn); !r.Sound() || r.Transfers != 0 || r.Accounts != 3 {
		t.Fatalf("an empty ledger: %+v", r)
	}
	ledgertest.Lived(t, conn)
	r := count(t, conn)
	if !r.Sound() {
		t.Errorf("findings: %+v", r.Findings)
	}
	if r.Transfers != 8 || r.Accounts != 6 || r.Holds != 3 || r.Adjustments != 3 {
		t.Errorf("counted %d transfers, %d accounts, %d holds, %d adjustments", r.Transfers, r.Accounts, r.Holds, r.Adjustments)
	}
	want := "capture 1 70000 charge 2 600000 grant 2 14000000 refund 1 250000 usage 2 2001250000"
	var got []string
	for _, total := range r.Totals {
		got = append(got, total.Kind, itoa(total.Transfers), total.AmountMicro)
	}
	if strings.Join(got, " ") != want {
		t.Errorf("totals %v, want %s", got, want)
	}
	if again := count(t, conn); again.Digest != r.Digest {
		t.Error("the same journal has another digest")
	}
}

// TestEveryLieIsFound plants each lie past the triggers and checks, as a writer that does not go through the functions would.
func TestEveryLieIsFound(t *testing.T) {
	t.Parallel()
	const ann, bob = "(SELECT id FROM ledger.account WHERE ref = 'ann@a.test')", "(SELECT id FROM ledger.account WHERE ref = 'bob@b.test')"
	tests := map[string]struct{ sql, code, says string }{
		"a balance by one micro-credit": {"UPDATE ledger.balance SET credits = credits + 1 WHERE account_id = " + ann, "balance", "ann@a.test: credits is 5250001, and its rows add up to 5250000"},
		"both sides of a balance":       {"UPDATE ledger.balance SET credits = credits + 7, debits = debits + 7 WHERE account_id = " + ann, "balance", "debits is"},
		"held without a hold":           {"UPDATE ledger.balance SET held = held + 1 WHERE account_id = " + ann, "balance", "held is 300001, and its rows add up to 300000"},
		"overage forgiven":              {"UPDATE ledger.balance SET overage = 0 WHERE account_id = " + bob, "balance", "overage is 0, and its rows add up to 2000000000"},
		"an amount changed":             {"UPDATE ledger.transfer SET amount = amount + 1 WHERE kind = 'refund'", "balance", "add up to 5250001"},
		"a transfer deleted":            {"DELETE FROM ledger.transfer WHERE kind = 'capture'", "hold", "70000 was captured by what it says, and the journal moved 0 for it"},
		"two amounts swapped":           {"UPDATE ledger.transfer SET amount = CASE kind WHEN 'usage' THEN 100000 ELSE 1250000 END WHERE debit_id = " + ann + " AND kind IN ('usage', 'charge')", "", ""},
		"a transfer of another account": {"UPDATE ledger.transfer SET debit_id = " + bob + " WHERE kind = 'usage' AND debit_id = " + ann, "balance", "bob@b.test: debits is 0"},
		"an account that is not there":  {"UPDATE ledger.transfer SET credit_id = 77777 WHERE kind = 'refund'", "no_account", "account 77777: it does not exist"},
		"a kind with a wrong side":      {"UPDATE ledger.transfer SET credit_id = 2 WHERE kind = 'usage' AND debit_id = " + ann, "transfer_sides", "a usage does not go from"},
		"a hold captured twice":         {"UPDATE ledger.hold SET captured = captured + 5 WHERE state = 'captured'", "hold", "70005 was captured"},
		"an adjustment that moved more": {"UPDATE ledger.transfer SET amount = amount + 5 WHERE id = (SELECT id FROM ledger.adjustment WHERE applied < 0)", "adjustment", "it says that it moved -500000 for account"},
		"an adjustment without a trace": {"INSERT INTO ledger.adjustment SELECT gen_random_uuid(), account_id, NULL, 5, 5, 5, 'x', 'y' FROM ledger.adjustment LIMIT 1", "adjustment", "no transfer of its id"},
		"a balance row gone":            {"DELETE FROM ledger.balance WHERE account_id = " + bob, "no_balance", "bob@b.test"},
		"below the floor":               {"ALTER TABLE ledger.balance DROP CONSTRAINT no_overdraft, DROP CONSTRAINT floors_in_order; UPDATE ledger.balance SET floor = 10000000 WHERE account_id = " + ann, "below_floor", "below its floor of 10000000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := bed.Open(t)
			ledgertest.Lived(t, conn)
			before := count(t, conn)
			ledgertest.Exec(t, conn, "ALTER TABLE ledger.transfer DISABLE TRIGGER ALL")
			ledgertest.Exec(t, conn, test.sql)
			after := count(t, conn)
			if test.code == "" { // sums cannot tell, the digest of the rows does
				if after.Digest == before.Digest {
					t.Error("another journal has the same digest")
				}
				return
			}
			if !found(after, test.code, test.says) {
				t.Errorf("%s %q is not among %+v", test.code, test.says, after.Findings)
			}
		})
	}
}

func found(r *recount.Report, code, says string) bool {
	for _, f := range r.Findings {
		if f.Code == code && strings.Contains(f.Where+": "+f.Message, says) {
			return true
		}
	}
	return false
}

// TestManyFindingsAreCounted keeps a ledger that is wrong everywhere from filling memory and screen.
func TestManyFindingsAreCounted(t *testing.T) {
	t.Parallel()
	conn := bed.Open(t)
	ledgertest.Exec(t, conn, "INSERT INTO ledger.account (kind, ref) SELECT 'customer', 'c' || n FROM generate_series(1, 250) n")
	if r := count(t, conn); len(r.Findings) != 100 || r.Unlisted != 150 {
		t.Errorf("%d listed, %d not", len(r.Findings), r.Unlisted)
	}
}

// TestItReadsOneMoment writes while the journal is being read: what is compared is of before.
func TestItReadsOneMoment(t *testing.T) {
	t.Parallel()
	conn := bed.Open(t)
	ledgertest.Lived(t, conn)
	other, err := pgx.ConnectConfig(t.Context(), conn.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(t.Context())
	wrote := false
	r, err := recount.Run(t.Context(), conn, func(int64, int64) {
		if !wrote {
			wrote = true
			ledgertest.Lived(t, other)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !wrote || !r.Sound() || r.Transfers != 8 {
		t.Errorf("wrote %v, %d transfers, %+v", wrote, r.Transfers, r.Findings)
	}
	if r := count(t, conn); r.Transfers != 16 || !r.Sound() {
		t.Errorf("afterwards %d, %+v", r.Transfers, r.Findings)
	}
}
