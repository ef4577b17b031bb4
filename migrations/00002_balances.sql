-- Balances: the running sums of each customer's journal, in micro-credits, kept to be locked and checked.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TABLE ledger.balance (
    account_id bigint PRIMARY KEY REFERENCES ledger.account,
    credits    bigint NOT NULL DEFAULT 0 CHECK (credits >= 0),
    debits     bigint NOT NULL DEFAULT 0 CHECK (debits >= 0),
    held       bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    -- What was used beyond the floor: owed, and never taken out of the balance.
    overage    bigint NOT NULL DEFAULT 0 CHECK (overage >= 0),
    -- New work is admitted down to admit_floor; work already done is settled down to floor.
    admit_floor bigint NOT NULL DEFAULT 0,
    floor      bigint NOT NULL DEFAULT -1000000000,
    -- Counts the row's changes, so that a reader of copies can tell an older one.
    version    bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT floors_in_order CHECK (admit_floor >= floor),
    CONSTRAINT no_overdraft CHECK (credits - debits - held >= floor)
) WITH (fillfactor = 50); -- room for updates in place; no index on what changes

-- +goose Down
DROP TABLE ledger.balance;
