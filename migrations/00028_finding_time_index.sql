-- What was repaired a moment ago may not be seen in KV yet: the reconciler asks for it at each pass.
-- release: 1
-- phase: expand

-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY IF NOT EXISTS reconcile_finding_found ON ledger.reconcile_finding (found_at);

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS ledger.reconcile_finding_found;
