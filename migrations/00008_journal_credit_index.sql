-- A customer's statement reads what it was given, newest first. Revenue's rows are left out: nobody reads them by account.
-- release: 1
-- phase: expand

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS transfer_credit ON ledger.transfer (credit_id, occurred_at DESC, id DESC) WHERE credit_id >= 1000;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS ledger.transfer_credit;
