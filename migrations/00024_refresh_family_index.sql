-- A family's refresh tokens: they go with it.
-- release: 1
-- phase: expand

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS refresh_by_family ON auth.refresh (family);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS auth.refresh_by_family;
