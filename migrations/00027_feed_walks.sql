-- Walks over the feed of usage: where the reconciler goes on in KV's list and in the journal, and how long a full round takes.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TABLE ledger.reconcile_walk (
    name       text PRIMARY KEY CHECK (name IN ('listed', 'journal')),
    cursor     text,                 -- null: the next pass begins a round
    began_at   timestamptz NOT NULL, -- of this round
    entries    bigint NOT NULL,      -- compared in this round
    ended_at   timestamptz,          -- of the last round that came to its end
    took_ms    bigint,
    of_entries bigint
);

-- Of the next use to look for after those recorded at uses_from, by id.
ALTER TABLE ledger.reconcile_position ADD COLUMN uses_from_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
ALTER TABLE ledger.reconcile_pass ADD COLUMN feed_entries integer NOT NULL DEFAULT 0; -- entries of the feed whose use was looked for

-- uses_after answers uses in the order of their recording, from a place on and before a time: {uses, more}. The index over times knows
-- blocks, not rows: it is asked for ever longer spans until one holds enough.
-- +goose StatementBegin
CREATE FUNCTION ledger.uses_after(p_at_us bigint, p_id uuid, p_until_us bigint, p_limit integer) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    origin constant timestamptz := 'epoch';
    since timestamptz := origin + p_at_us * interval '1 microsecond';
    until timestamptz := origin + p_until_us * interval '1 microsecond';
    span interval := interval '1 minute';
    upto timestamptz;
    found jsonb;
BEGIN
    LOOP
        upto := least(since + span, until);
        SELECT coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'account', a.ref, 'amount', t.amount,
                   'at_ms', (extract(epoch FROM t.occurred_at) * 1000)::bigint, 'meta', t.meta,
                   'recorded_us', (extract(epoch FROM t.recorded_at) * 1000000)::bigint) ORDER BY t.recorded_at, t.id), '[]') INTO found
        FROM (SELECT * FROM ledger.transfer
              WHERE recorded_at >= since AND recorded_at < upto AND kind = 'usage' AND (recorded_at, id) > (since, p_id)
              ORDER BY recorded_at, id LIMIT p_limit) t
        JOIN ledger.account a ON a.id = coalesce(t.owed_by, t.debit_id);
        IF upto >= until OR jsonb_array_length(found) >= p_limit THEN
            RETURN jsonb_build_object('uses', found, 'more', jsonb_array_length(found) >= p_limit);
        END IF;
        span := span * 4;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger.record_reconciliation(p json) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE pass bigint;
BEGIN
    INSERT INTO ledger.reconcile_pass (started_at, ended_at, accounts, entries, uses, uses_shown, feed_entries, found, repaired, complete)
    SELECT to_timestamp((p ->> 'started_ms')::bigint / 1000.0), to_timestamp((p ->> 'ended_ms')::bigint / 1000.0), (p ->> 'accounts')::integer,
           (p ->> 'entries')::integer, (p ->> 'uses')::integer, (p ->> 'uses_shown')::integer, coalesce((p ->> 'feed_entries')::integer, 0),
           json_array_length(p -> 'findings'),
           (SELECT count(*) FROM json_array_elements(p -> 'findings') f WHERE (f ->> 'repaired')::boolean), (p ->> 'complete')::boolean
    RETURNING id INTO pass;
    INSERT INTO ledger.reconcile_finding (pass_id, key, kind, why, before, after, repaired, found_at)
    SELECT pass, f ->> 'key', f ->> 'kind', f ->> 'why', f ->> 'before', nullif((f -> 'after')::text, 'null')::jsonb, (f ->> 'repaired')::boolean,
           to_timestamp((p ->> 'ended_ms')::bigint / 1000.0)
    FROM json_array_elements(p -> 'findings') f;
    INSERT INTO ledger.reconcile_position (after_account, kv_cursor, uses_from, uses_from_id)
    VALUES ((p -> 'position' ->> 'after_account')::bigint, p -> 'position' ->> 'kv_cursor',
            coalesce('epoch'::timestamptz + (p -> 'position' ->> 'uses_from_us')::bigint * interval '1 microsecond',
                     to_timestamp((p -> 'position' ->> 'uses_from_ms')::float8 / 1000)),
            coalesce((p -> 'position' ->> 'uses_from_id')::uuid, '00000000-0000-0000-0000-000000000000'))
    ON CONFLICT (one_row) DO UPDATE SET after_account = excluded.after_account, kv_cursor = excluded.kv_cursor,
        uses_from = excluded.uses_from, uses_from_id = excluded.uses_from_id;
    INSERT INTO ledger.reconcile_walk (name, cursor, began_at, entries, ended_at, took_ms, of_entries)
    SELECT w ->> 'name', w ->> 'cursor', to_timestamp((w ->> 'began_ms')::bigint / 1000.0), (w ->> 'entries')::bigint,
           to_timestamp((w ->> 'ended_ms')::bigint / 1000.0), (w ->> 'took_ms')::bigint, (w ->> 'of_entries')::bigint
    FROM json_array_elements(p -> 'walks') w
    ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, began_at = excluded.began_at, entries = excluded.entries,
        ended_at = excluded.ended_at, took_ms = excluded.took_ms, of_entries = excluded.of_entries;
    -- Passes that found nothing are kept for a day; findings for ever.
    DELETE FROM ledger.reconcile_pass x WHERE x.ended_at < now() - interval '1 day' AND x.found = 0;
    RETURN pass;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger.record_reconciliation(p json) RETURNS bigint LANGUAGE plpgsql AS $$
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
DROP FUNCTION ledger.uses_after(bigint, uuid, bigint, integer);
ALTER TABLE ledger.reconcile_pass DROP COLUMN feed_entries;
ALTER TABLE ledger.reconcile_position DROP COLUMN uses_from_id;
DROP TABLE ledger.reconcile_walk;
