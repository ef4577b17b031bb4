-- Holds: amounts set aside before work begins, resolved once by capture, void or expiry.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TABLE ledger.hold (
    id          uuid PRIMARY KEY,
    account_id  bigint NOT NULL REFERENCES ledger.account,
    amount      bigint NOT NULL CHECK (amount > 0),
    state       text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'captured', 'voided', 'expired')),
    captured    bigint NOT NULL DEFAULT 0 CHECK (captured >= 0),
    expires_at  timestamptz NOT NULL,
    resolved_at timestamptz,
    CONSTRAINT captured_when_captured CHECK (captured = 0 OR state = 'captured'),
    CONSTRAINT resolved_once CHECK ((state = 'pending') = (resolved_at IS NULL))
);

-- +goose Down
DROP TABLE ledger.hold;
