-- The sweeper of expired holds reads pending ones by their time.
-- release: 1
-- phase: expand

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS hold_expiry ON ledger.hold (expires_at) WHERE state = 'pending';

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS ledger.hold_expiry;
