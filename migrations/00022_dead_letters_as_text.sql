-- Dead letters come as text: a body that is JSON and no text of PostgreSQL's (half a surrogate pair) made its neighbours unreadable.
-- release: 1
-- phase: expand

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger.keep_dead_letters(p_queue text, p_letters json) RETURNS bigint LANGUAGE sql AS $$
    WITH kept AS (
        INSERT INTO ledger.dead_letter (message_id, queue, body, attempts, sent_at)
        SELECT l ->> 'id', p_queue, ledger.as_jsonb((l ->> 'body')::json), (l ->> 'attempts')::integer, to_timestamp((l ->> 'sent_ms')::bigint / 1000.0)
        FROM json_array_elements(p_letters) l ORDER BY l ->> 'id'
        ON CONFLICT (message_id) DO NOTHING RETURNING 1)
    SELECT count(*) FROM kept
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger.keep_dead_letters(p_queue text, p_letters json) RETURNS bigint LANGUAGE sql AS $$
    WITH kept AS (
        INSERT INTO ledger.dead_letter (message_id, queue, body, attempts, sent_at)
        SELECT l ->> 'id', p_queue, coalesce(ledger.as_jsonb(l -> 'body'), 'null'), (l ->> 'attempts')::integer, to_timestamp((l ->> 'sent_ms')::bigint / 1000.0)
        FROM json_array_elements(p_letters) l ORDER BY l ->> 'id'
        ON CONFLICT (message_id) DO NOTHING RETURNING 1)
    SELECT count(*) FROM kept
$$;
-- +goose StatementEnd
