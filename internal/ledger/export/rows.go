package export

import (
	"context"
	"encoding/json"
	"math/big"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// timeLayout keeps every microsecond that the ledger has.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// progressEvery is how many transfers pass between two reports of progress.
const progressEvery = 10_000

var csvColumns = "id,kind,debit,credit,amount_micro,owed_by,ref,occurred_at,recorded_at,meta\n"

func (w *writer) header(ctx context.Context, tx pgx.Tx, f Filter) error {
	if w.summary.Format == CSV {
		w.line = append(w.line, csvColumns...)
		return w.flush()
	}
	var version int64
	if err := tx.QueryRow(ctx, "SELECT max(version_id) FROM goose_db_version WHERE is_applied").Scan(&version); err != nil {
		return pgurl.Explain("read the schema's version", err)
	}
	return w.object(struct {
		Line    string `json:"line"`
		Name    string `json:"name"`
		Version int64  `json:"schema_version"`
		Whole   bool   `json:"whole_ledger"`
		Filter  Filter `json:"filter"`
	}{"header", Name, version, w.summary.Whole, f})
}

// object writes a line of the few that need not be fast.
func (w *writer) object(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fault.New(fault.Internal, "encode a line of the export: %w", err)
	}
	w.line = append(append(w.line, line...), '\n')
	return w.flush()
}

// accounts reads the names of all accounts, and writes those of a whole ledger.
func (w *writer) accounts(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT a.id, a.kind, a.ref, a.created_at, b.admit_floor, b.floor
		FROM ledger.account a LEFT JOIN ledger.balance b ON b.account_id = a.id ORDER BY a.id`)
	if err != nil {
		return pgurl.Explain("read the accounts", err)
	}
	defer rows.Close()
	for rows.Next() {
		a := Account{Line: "account"}
		if err := rows.Scan(&a.ID, &a.Kind, &a.Ref, &a.Created, &a.AdmitFloor, &a.Floor); err != nil {
			return pgurl.Explain("read the accounts", err)
		}
		w.names[a.ID] = a.Ref
		if a.Created = a.Created.UTC(); !w.summary.Whole {
			continue
		}
		w.summary.Accounts++
		if err := w.object(a); err != nil {
			return err
		}
	}
	return pgurl.Explain("read the accounts", rows.Err())
}

func (w *writer) transfers(ctx context.Context, tx pgx.Tx, f Filter, progress func(int64)) error {
	where, args, err := w.where(f)
	if err != nil {
		return err
	}
	encode := w.jsonTransfer
	if w.summary.Format == CSV {
		encode = w.csvTransfer
	}
	sql := "SELECT id, kind, debit_id, credit_id, amount, owed_by, ref, occurred_at, recorded_at, meta::text FROM ledger.transfer WHERE " + where + " ORDER BY recorded_at, id"
	return raw(ctx, tx, "read the journal", sql, args, func(row [][]byte) error {
		w.summary.Transfers++
		w.sum(string(row[1]), int8of(row[4]))
		encode(row)
		if w.summary.Transfers%progressEvery == 0 {
			progress(w.summary.Transfers)
		}
		return w.flush()
	})
}

func (w *writer) sum(kind string, amount int64) { add(w.sums, kind, amount) }

func add(sums map[string]*big.Int, kind string, amount int64) {
	if sums[kind] == nil {
		sums[kind] = new(big.Int)
	}
	sums[kind].Add(sums[kind], big.NewInt(amount))
}

func (w *writer) where(f Filter) (string, []any, error) {
	where, args := "true", []any{}
	and := func(condition string, arg any) {
		args = append(args, arg)
		where += " AND " + condition + strconv.Itoa(len(args))
	}
	if !f.Since.IsZero() {
		and("recorded_at >= $", f.Since)
	}
	if !f.Until.IsZero() {
		and("recorded_at < $", f.Until)
	}
	if f.Account == "" {
		return where, args, nil
	}
	for id, name := range w.names {
		if name == f.Account {
			args = append(args, id)
			n := "$" + strconv.Itoa(len(args))
			return where + " AND (debit_id = " + n + " OR credit_id = " + n + " OR owed_by = " + n + ")", args, nil
		}
	}
	return "", nil, fault.New(fault.NotFound, "no account %q", f.Account)
}

func (w *writer) jsonTransfer(row [][]byte) {
	b := append(w.line, `{"line":"transfer","id":"`...)
	b = append(appendID(b, row[0]), `","kind":`...)
	b = append(appendText(b, string(row[1])), `,"debit":`...)
	b = append(appendText(b, w.name(int8of(row[2]))), `,"credit":`...)
	b = append(appendText(b, w.name(int8of(row[3]))), `,"amount_micro":`...)
	b = strconv.AppendInt(b, int8of(row[4]), 10)
	if row[5] != nil {
		b = appendText(append(b, `,"owed_by":`...), w.name(int8of(row[5])))
	}
	if row[6] != nil {
		b = append(appendID(append(b, `,"ref":"`...), row[6]), '"')
	}
	b = timeOf(row[7]).AppendFormat(append(b, `,"occurred_at":"`...), timeLayout)
	b = timeOf(row[8]).AppendFormat(append(b, `","recorded_at":"`...), timeLayout)
	b = append(b, '"')
	if row[9] != nil {
		b = append(append(b, `,"meta":`...), row[9]...)
	}
	w.line = append(b, "}\n"...)
}

func (w *writer) csvTransfer(row [][]byte) {
	b := append(appendID(w.line, row[0]), ',')
	b = append(appendCell(b, string(row[1])), ',')
	b = append(appendCell(b, w.name(int8of(row[2]))), ',')
	b = append(appendCell(b, w.name(int8of(row[3]))), ',')
	b = append(strconv.AppendInt(b, int8of(row[4]), 10), ',')
	if row[5] != nil {
		b = appendCell(b, w.name(int8of(row[5])))
	}
	b = append(appendID(append(b, ','), row[6]), ',')
	b = append(timeOf(row[7]).AppendFormat(b, timeLayout), ',')
	b = append(timeOf(row[8]).AppendFormat(b, timeLayout), ',')
	w.line = append(appendCell(b, string(row[9])), '\n')
}

// appendText writes a JSON string; most names need no escaping.
func appendText(to []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, _ := json.Marshal(text) // strings always encode
			return append(to, quoted...)
		}
	}
	return append(append(append(to, '"'), text...), '"')
}

// appendCell writes a cell of RFC 4180.
func appendCell(to []byte, text string) []byte {
	plain := len(text) == 0 || text[0] != '#'
	for i := range len(text) {
		switch text[i] {
		case '"', ',', '\n', '\r':
			plain = false
		}
	}
	if plain {
		return append(to, text...)
	}
	to = append(to, '"')
	for i := range len(text) {
		if text[i] == '"' {
			to = append(to, '"')
		}
		to = append(to, text[i])
	}
	return append(to, '"')
}

func (w *writer) holds(ctx context.Context, tx pgx.Tx) error {
	if !w.summary.Whole {
		return nil
	}
	rows, err := tx.Query(ctx, "SELECT id, account_id, amount, state, captured, expires_at, resolved_at FROM ledger.hold ORDER BY id")
	if err != nil {
		return pgurl.Explain("read the holds", err)
	}
	defer rows.Close()
	for rows.Next() {
		h := Hold{Line: "hold"}
		var account int64
		if err := rows.Scan(&h.ID, &account, &h.Amount, &h.State, &h.Captured, &h.Expires, &h.Resolved); err != nil {
			return pgurl.Explain("read the holds", err)
		}
		h.Account, h.Expires = w.name(account), h.Expires.UTC()
		if h.Resolved != nil {
			*h.Resolved = h.Resolved.UTC()
		}
		w.summary.Holds++
		if err := w.object(h); err != nil {
			return err
		}
	}
	return pgurl.Explain("read the holds", rows.Err())
}

func (w *writer) adjustments(ctx context.Context, tx pgx.Tx) error {
	if !w.summary.Whole {
		return nil
	}
	rows, err := tx.Query(ctx, "SELECT id, account_id, set_to, delta, applied, balance_after, actor, reason, recorded_at FROM ledger.adjustment ORDER BY recorded_at, id")
	if err != nil {
		return pgurl.Explain("read the adjustments", err)
	}
	defer rows.Close()
	for rows.Next() {
		a := Adjustment{Line: "adjustment"}
		var account int64
		if err := rows.Scan(&a.ID, &account, &a.SetTo, &a.Delta, &a.Applied, &a.After, &a.Actor, &a.Reason, &a.Recorded); err != nil {
			return pgurl.Explain("read the adjustments", err)
		}
		a.Account, a.Recorded = w.name(account), a.Recorded.UTC()
		w.summary.Adjustments++
		if err := w.object(a); err != nil {
			return err
		}
	}
	return pgurl.Explain("read the adjustments", rows.Err())
}
