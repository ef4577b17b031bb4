-- An account's sign-ins that have not ended: all of them end when the account's tokens are revoked.
-- release: 1
-- phase: expand

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS family_by_account ON auth.family (account) WHERE closed_at IS NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS auth.family_by_account;
