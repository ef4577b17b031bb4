-- The journal: one row moves an amount from one account to another, once for each id its producer gave, for ever.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TABLE ledger.transfer (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('usage', 'grant', 'refund', 'charge', 'capture')),
    -- No foreign keys: every row would lock revenue's account row. The functions look accounts up, accounts are never
    -- deleted, and ledger.drift names a transfer without one.
    debit_id    bigint NOT NULL,
    credit_id   bigint NOT NULL,
    amount      bigint NOT NULL CHECK (amount > 0),
    -- Usage beyond the floor is paid by system:overage, and owed by this account.
    owed_by     bigint,
    ref         uuid, -- what a correction corrects, or the hold that a capture settles
    meta        jsonb,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT two_sides CHECK (debit_id <> credit_id),
    CONSTRAINT overage_is_owed CHECK ((debit_id = 3) = (owed_by IS NOT NULL))
);

-- +goose StatementBegin
CREATE FUNCTION ledger.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger.% is append-only: correct it by a transfer the other way', TG_TABLE_NAME USING ERRCODE = '55000';
END $$;
-- +goose StatementEnd

CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON ledger.transfer FOR EACH ROW EXECUTE FUNCTION ledger.append_only();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON ledger.transfer EXECUTE FUNCTION ledger.append_only();
CREATE TRIGGER no_delete BEFORE DELETE ON ledger.account FOR EACH ROW EXECUTE FUNCTION ledger.append_only();
-- ALWAYS: not even a session that plays a replica may pass.
ALTER TABLE ledger.transfer ENABLE ALWAYS TRIGGER no_change;
ALTER TABLE ledger.transfer ENABLE ALWAYS TRIGGER no_truncate;

-- +goose Down
DROP TRIGGER no_delete ON ledger.account;
DROP TABLE ledger.transfer;
DROP FUNCTION ledger.append_only();
