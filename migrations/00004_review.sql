-- What the ledger did not post, kept for a person: conflicting content under a known id, and events it cannot read.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TABLE ledger.review (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id   text NOT NULL,
    reason     text NOT NULL,
    event      jsonb NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now(),
    times      bigint NOT NULL DEFAULT 1,
    digest     bytea NOT NULL UNIQUE -- of reason and event: a redelivery counts, and adds no row
);

-- +goose Down
DROP TABLE ledger.review;
