-- Reports read the journal by the time it was recorded, which is the order it lies in.
-- release: 1
-- phase: expand

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS transfer_recorded ON ledger.transfer USING brin (recorded_at);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS ledger.transfer_recorded;
