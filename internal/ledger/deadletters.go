package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger/pgurl"
)

// DeadLetter is a message whose tries were used up.
type DeadLetter struct {
	MessageID string          `json:"message_id"`
	Queue     string          `json:"queue"` // the dead letter queue that it was kept from
	Body      json.RawMessage `json:"body"`
	Attempts  int             `json:"attempts"`
	Sent      time.Time       `json:"sent_at"`
	Kept      time.Time       `json:"kept_at"`
	Replayed  *time.Time      `json:"replayed_at"`
}

// CountDeadLetters says how many are kept, and how many of those were replayed.
func (l *Ledger) CountDeadLetters(ctx context.Context) (total, replayed int64, err error) {
	err = l.db.QueryRow(ctx, "SELECT count(*), count(replayed_at) FROM ledger.dead_letter").Scan(&total, &replayed)
	return total, replayed, pgurl.Explain("count the dead letters", err)
}

const letterColumns = "message_id, queue, body, attempts, sent_at, kept_at, replayed_at"

// DeadLetters lists the oldest that were not replayed, or of all.
func (l *Ledger) DeadLetters(ctx context.Context, limit int, all bool) ([]DeadLetter, error) {
	const doing = "list the dead letters"
	rows, err := l.db.Query(ctx, "SELECT "+letterColumns+" FROM ledger.dead_letter WHERE $2 OR replayed_at IS NULL ORDER BY kept_at, message_id LIMIT $1", limit, all)
	if err != nil {
		return nil, pgurl.Explain(doing, err)
	}
	letters, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DeadLetter])
	return letters, pgurl.Explain(doing, err)
}

// ReplayBounds say which letters are sent again, and how many in one go.
type ReplayBounds struct {
	MaxMessages, MaxBytes int
	Limit                 int      // 0: all
	IDs                   []string // nil: all that were not replayed
	DryRun                bool
}

// ReplayDeadLetters gives letters to send, batch by batch, and marks those of a batch only after send has returned: whoever is killed in
// between loses nothing. Two at once share the work. Letters that are kept while it runs are left to the next run, so that one that fails
// again does not go round for ever.
func ReplayDeadLetters(ctx context.Context, conn *pgx.Conn, b ReplayBounds, send func(ctx context.Context, queue string, letters []DeadLetter) error) error {
	const doing = "replay the dead letters"
	if len(b.IDs) == 0 {
		b.IDs = nil // no names are all of them
	}
	var began time.Time
	if err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&began); err != nil {
		return pgurl.Explain(doing, err)
	}
	if err := known(ctx, conn, b.IDs); err != nil {
		return err
	}
	var after DeadLetter // a dry run marks nothing, so it has to remember where it is
	for left := b.Limit; ; {
		n, err := replayBatch(ctx, conn, b, began, &after, left, send)
		if err != nil {
			return pgurl.Explain(doing, err)
		}
		if left -= n; n == 0 || b.Limit > 0 && left <= 0 {
			return nil
		}
	}
}

// known refuses names of letters that are not there.
func known(ctx context.Context, conn *pgx.Conn, ids []string) error {
	var missing *string
	err := conn.QueryRow(ctx, "SELECT min(i) FROM unnest($1::text[]) i WHERE NOT EXISTS (SELECT FROM ledger.dead_letter WHERE message_id = i)", ids).Scan(&missing)
	if err != nil {
		return pgurl.Explain("look for the dead letters", err)
	}
	if missing != nil {
		return fault.New(fault.NotFound, "no dead letter %q", *missing).WithHint("cogctl queues dlq list --all")
	}
	return nil
}

func replayBatch(ctx context.Context, conn *pgx.Conn, b ReplayBounds, began time.Time, after *DeadLetter, left int, send func(context.Context, string, []DeadLetter) error) (int, error) {
	most := b.MaxMessages
	if b.Limit > 0 {
		most = min(most, left)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	// Letters that were named are sent again even if they were replayed before.
	rows, err := tx.Query(ctx, "SELECT "+letterColumns+` FROM ledger.dead_letter
		WHERE kept_at <= $1 AND (kept_at, message_id) > ($2, $3) AND ($4::text[] IS NULL AND replayed_at IS NULL OR message_id = ANY ($4))
		ORDER BY kept_at, message_id LIMIT $5 FOR UPDATE SKIP LOCKED`, began, after.Kept, after.MessageID, b.IDs, most)
	if err != nil {
		return 0, err
	}
	letters, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DeadLetter])
	if err != nil || len(letters) == 0 {
		return 0, err
	}
	letters = fitting(letters, b.MaxBytes)
	if err := send(ctx, letters[0].Queue, letters); err != nil {
		return 0, err
	}
	if *after = letters[len(letters)-1]; b.DryRun {
		return len(letters), nil
	}
	ids := make([]string, len(letters))
	for i, l := range letters {
		ids[i] = l.MessageID
	}
	// What the queue has taken is marked even when this is being interrupted.
	ctx = context.WithoutCancel(ctx)
	if _, err := tx.Exec(ctx, "UPDATE ledger.dead_letter SET replayed_at = clock_timestamp() WHERE message_id = ANY ($1)", ids); err != nil {
		return 0, err
	}
	return len(letters), tx.Commit(ctx)
}

// fitting are the first letters that go to one queue and into one send; one at least.
func fitting(letters []DeadLetter, maxBytes int) []DeadLetter {
	size := 0
	for i, l := range letters {
		if size += len(l.Body); i > 0 && (size > maxBytes || l.Queue != letters[0].Queue) {
			return letters[:i]
		}
	}
	return letters
}
