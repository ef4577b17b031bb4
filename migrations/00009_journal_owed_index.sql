-- What an account owes beyond its floor, for its statement.
-- release: 1
-- phase: expand

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS transfer_owed ON ledger.transfer (owed_by, occurred_at DESC, id DESC) WHERE owed_by IS NOT NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS ledger.transfer_owed;
