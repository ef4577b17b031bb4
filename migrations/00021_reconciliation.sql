-- Reconciliation: what each pass over the copies in KV compared, found, and put right, and why it was wrong.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TABLE ledger.reconcile_pass (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL,
    accounts   integer NOT NULL, -- accounts whose entry was compared
    entries    integer NOT NULL, -- entries whose account was looked for
    uses       integer NOT NULL, -- uses whose entry in the feed was looked for
    uses_shown integer NOT NULL, -- those that were not there, and are now
    found      integer NOT NULL,
    repaired   integer NOT NULL,
    complete   boolean NOT NULL  -- everything that changed lately was compared
);

CREATE TABLE ledger.reconcile_finding (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pass_id  bigint NOT NULL REFERENCES ledger.reconcile_pass,
    key      text NOT NULL,
    kind     text NOT NULL CHECK (kind IN ('missing', 'old', 'wrong', 'ahead', 'unreadable', 'foreign')),
    why      text NOT NULL,
    before   text, -- what KV held: a repair overwrites it
    after    jsonb, -- what the ledger said; null when the entry was taken away
    repaired boolean NOT NULL,
    found_at timestamptz NOT NULL
);

-- One row: where the sweeps go on.
CREATE TABLE ledger.reconcile_position (
    one_row       boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    after_account bigint NOT NULL,
    kv_cursor     text,
    uses_from     timestamptz NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION ledger.record_reconciliation(p json) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE pass bigint;
BEGIN
    INSERT INTO ledger.reconcile_pass (started_at, ended_at, accounts, entries, uses, uses_shown, found, repaired, complete)
    SELECT to_timestamp((p ->> 'started_ms')::bigint / 1000.0), to_timestamp((p ->> 'ended_ms')::bigint / 1000.0), (p ->> 'accounts')::integer,
           (p ->> 'entries')::integer, (p ->> 'uses')::integer, (p ->> 'uses_shown')::integer, json_array_length(p -> 'findings'),
           (SELECT count(*) FROM json_array_elements(p -> 'findings') f WHERE (f ->> 'repaired')::boolean), (p ->> 'complete')::boolean
    RETURNING id INTO pass;
    INSERT INTO ledger.reconcile_finding (pass_id, key, kind, why, before, after, repaired, found_at)
    SELECT pass, f ->> 'key', f ->> 'kind', f ->> 'why', f ->> 'before', nullif((f -> 'after')::text, 'null')::jsonb, (f ->> 'repaired')::boolean,
           to_timestamp((p ->> 'ended_ms')::bigint / 1000.0)
    FROM json_array_elements(p -> 'findings') f;
    INSERT INTO ledger.reconcile_position (after_account, kv_cursor, uses_from)
    VALUES ((p -> 'position' ->> 'after_account')::bigint, p -> 'position' ->> 'kv_cursor', to_timestamp((p -> 'position' ->> 'uses_from_ms')::float8 / 1000))
    ON CONFLICT (one_row) DO UPDATE SET after_account = excluded.after_account, kv_cursor = excluded.kv_cursor, uses_from = excluded.uses_from;
    -- Passes that found nothing are kept for a day; findings for ever.
    DELETE FROM ledger.reconcile_pass x WHERE x.ended_at < now() - interval '1 day' AND x.found = 0;
    RETURN pass;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ledger.record_reconciliation(json);
DROP TABLE ledger.reconcile_position;
DROP TABLE ledger.reconcile_finding;
DROP TABLE ledger.reconcile_pass;
