-- Reading events: each is judged alone, so that one that cannot be read does not take its batch with it.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TYPE ledger.posting AS (
    pos integer, raw jsonb, given_id text, outcome text, id uuid, kind text, account text, account_id bigint,
    amount bigint, occurred_at timestamptz, ref uuid, meta jsonb
);

-- JSON that PostgreSQL cannot hold as text (a zero byte, half a surrogate pair) comes back as its own source in a string.
-- +goose StatementBegin
CREATE FUNCTION ledger.as_jsonb(p_events json) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN p_events::jsonb;
EXCEPTION WHEN data_exception OR untranslatable_character THEN
    IF json_typeof(p_events) = 'array' THEN
        RETURN (SELECT jsonb_agg(ledger.as_jsonb(e) ORDER BY n) FROM json_array_elements(p_events) WITH ORDINALITY x(e, n));
    END IF;
    RETURN to_jsonb(p_events::text);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION ledger.read_events(p_events json) RETURNS ledger.posting[] LANGUAGE sql STABLE AS $$
    WITH given AS MATERIALIZED (
        SELECT pos::integer, e AS raw, e ->> 'id' AS id, e ->> 'kind' AS kind, lower(e ->> 'account' COLLATE "C") AS account,
               e ->> 'amount' AS amount, e ->> 'at_ms' AS at_ms, e ->> 'ref' AS ref, e -> 'meta' AS meta
        FROM jsonb_array_elements(ledger.as_jsonb(p_events)) WITH ORDINALITY x(e, pos)),
    judged AS MATERIALIZED (
        SELECT g.*, CASE
            WHEN jsonb_typeof(raw) <> 'object' THEN 'not_an_event'
            WHEN (id ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$') IS NOT TRUE THEN 'invalid_id'
            WHEN (kind IN ('usage', 'grant', 'refund', 'charge')) IS NOT TRUE THEN 'invalid_kind'
            WHEN (jsonb_typeof(raw -> 'account') = 'string' AND octet_length(account) BETWEEN 1 AND 320 AND account NOT LIKE 'system:%') IS NOT TRUE THEN 'invalid_account'
            WHEN (jsonb_typeof(raw -> 'amount') = 'number' AND amount ~ '^[1-9][0-9]{0,14}$') IS NOT TRUE THEN 'invalid_amount'
            WHEN (jsonb_typeof(raw -> 'at_ms') = 'number' AND at_ms ~ '^[1-9][0-9]{11,12}$') IS NOT TRUE THEN 'invalid_time'
            WHEN at_ms::bigint > extract(epoch FROM now()) * 1000 + 86400000 THEN 'invalid_time' -- a clock more than a day ahead
            WHEN (ref ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$') IS FALSE THEN 'invalid_ref'
            WHEN jsonb_typeof(meta) NOT IN ('object', 'null') THEN 'invalid_meta'
            END AS outcome
        FROM given g)
    SELECT coalesce(array_agg(ROW(pos, raw, coalesce(left(j.id, 64), ''), outcome,
        CASE WHEN outcome IS NULL THEN j.id::uuid END, j.kind, account, a.id,
        CASE WHEN outcome IS NULL THEN amount::bigint END, CASE WHEN outcome IS NULL THEN to_timestamp(at_ms::bigint / 1000.0) END,
        CASE WHEN outcome IS NULL THEN j.ref::uuid END, CASE WHEN jsonb_typeof(meta) = 'object' THEN meta END)::ledger.posting ORDER BY pos), '{}')
    FROM judged j LEFT JOIN ledger.account a ON a.ref = j.account AND outcome IS NULL
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ledger.read_events(json);
DROP FUNCTION ledger.as_jsonb(json);
DROP TYPE ledger.posting;
