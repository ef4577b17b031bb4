-- Adjustments: what an operator asked for, under which key, and what it came to. It is the audit trail.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TABLE ledger.adjustment (
    id            uuid PRIMARY KEY, -- the caller's idempotency key, and the id of the transfer it made, if it made one
    account_id    bigint NOT NULL REFERENCES ledger.account,
    set_to        bigint,
    delta         bigint,
    applied       bigint NOT NULL,
    balance_after bigint NOT NULL,
    actor         text NOT NULL,
    reason        text NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT set_or_delta CHECK ((set_to IS NULL) <> (delta IS NULL))
);

CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON ledger.adjustment FOR EACH ROW EXECUTE FUNCTION ledger.append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.adjustment EXECUTE FUNCTION ledger.append_only();

-- +goose Down
DROP TABLE ledger.adjustment;
