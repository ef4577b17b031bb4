-- A customer's statement reads what it paid, newest first.
-- release: 1
-- phase: expand

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS transfer_debit ON ledger.transfer (debit_id, occurred_at DESC, id DESC);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS ledger.transfer_debit;
