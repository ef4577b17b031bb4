// Package export writes the ledger as JSON Lines or CSV with a trailer that tells a whole file from a cut one, and reads such files back.
package export

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"
	"math/big"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// Name is what the first line of an export says that it is.
const Name = "cogctl/ledger.export/v1"

// Format is the shape of a file.
type Format string

// The formats. JSON Lines without a filter is the whole ledger; CSV is the transfers alone, for spreadsheets.
const (
	JSONL Format = "jsonl"
	CSV   Format = "csv"
)

// Filter says which transfers. Since <= recorded_at < Until: by the time of recording, so that a period that is over stays as it was.
type Filter struct {
	Since   time.Time `json:"since,omitzero"`
	Until   time.Time `json:"until,omitzero"`
	Account string    `json:"account,omitempty"`
}

// Whole is true when nothing is left out, so that a ledger can be made again from it.
func (f Filter) Whole() bool { return f == Filter{} }

// Summary is what a file holds; its trailer says the same.
type Summary struct {
	Format      Format            `json:"format"`
	Whole       bool              `json:"whole_ledger"`
	Accounts    int64             `json:"accounts"`
	Transfers   int64             `json:"transfers"`
	Holds       int64             `json:"holds"`
	Adjustments int64             `json:"adjustments"`
	AmountMicro map[string]string `json:"amount_micro"` // moved, by kind of transfer
	SHA256      string            `json:"sha256"`       // of everything above the trailer
}

// writer counts and digests what goes out.
type writer struct {
	out     *bufio.Writer
	hash    hash.Hash
	line    []byte
	summary Summary
	sums    map[string]*big.Int
	names   map[int64]string
}

// Write streams the ledger of one moment. The order is that of recording, then of id: the same ledger gives the same bytes.
// progress may be nil; it is told how many transfers were written.
func Write(ctx context.Context, conn *pgx.Conn, to io.Writer, format Format, f Filter, progress func(int64)) (Summary, error) {
	w := &writer{hash: sha256.New(), sums: map[string]*big.Int{}, names: map[int64]string{}, summary: Summary{Format: format, Whole: format == JSONL && f.Whole()}}
	w.out = bufio.NewWriterSize(io.MultiWriter(to, w.hash), 1<<16)
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return w.summary, pgurl.Explain("begin reading the ledger", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if progress == nil {
		progress = func(int64) {}
	}
	steps := []func() error{
		func() error { return w.header(ctx, tx, f) }, func() error { return w.accounts(ctx, tx) },
		func() error { return w.transfers(ctx, tx, f, progress) },
		func() error { return w.holds(ctx, tx) }, func() error { return w.adjustments(ctx, tx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return w.summary, err
		}
	}
	return w.finish(to)
}

// finish writes the trailer, which is not part of its own digest.
func (w *writer) finish(to io.Writer) (Summary, error) {
	if err := w.out.Flush(); err != nil {
		return w.summary, cannotWrite(err)
	}
	w.summary.SHA256 = hex.EncodeToString(w.hash.Sum(nil))
	w.summary.AmountMicro = texts(w.sums)
	line, err := w.summary.trailer()
	if err == nil {
		_, err = to.Write(line)
	}
	if err != nil {
		return w.summary, cannotWrite(err)
	}
	return w.summary, nil
}

func texts(sums map[string]*big.Int) map[string]string {
	out := map[string]string{}
	for kind, sum := range sums {
		out[kind] = sum.String()
	}
	return out
}

func cannotWrite(err error) error { return fault.New(fault.Unavailable, "write the export: %w", err) }

// flush sends out the line that was made.
func (w *writer) flush() error {
	if _, err := w.out.Write(w.line); err != nil {
		return cannotWrite(err)
	}
	w.line = w.line[:0]
	return nil
}

// name is how an account is called in the file. One that does not exist is still told apart.
func (w *writer) name(id int64) string {
	if name, ok := w.names[id]; ok {
		return name
	}
	return "id:" + strconv.FormatInt(id, 10)
}

// raw runs fn on a query's rows as the bytes that came.
func raw(ctx context.Context, tx pgx.Tx, doing, sql string, args []any, fn func(row [][]byte) error) error {
	rows, err := tx.Query(ctx, sql, append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)...)
	if err != nil {
		return pgurl.Explain(doing, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.RawValues()); err != nil {
			return err
		}
	}
	return pgurl.Explain(doing, rows.Err())
}

func int8of(raw []byte) int64 {
	if len(raw) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(raw))
}

// timeOf reads PostgreSQL's microseconds since 2000.
func timeOf(raw []byte) time.Time {
	return time.UnixMicro(int8of(raw) + 946_684_800_000_000).UTC()
}

func appendID(to, raw []byte) []byte {
	id, err := uuid.FromBytes(raw)
	if err != nil {
		return to
	}
	var text [36]byte
	encoded, _ := id.MarshalText()
	copy(text[:], encoded)
	return append(to, text[:]...)
}
