-- Sign-ins that ended lately: their tokens are listed as revoked.
-- release: 1
-- phase: expand

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS family_by_closing ON auth.family (closed_at) WHERE closed_at IS NOT NULL;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS auth.family_by_closing;
