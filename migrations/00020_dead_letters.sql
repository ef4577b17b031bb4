-- Dead letters: messages that nothing could be made of after all their tries, kept until a person replays or settles them.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TABLE ledger.dead_letter (
    message_id  text PRIMARY KEY, -- the queue's own: a redelivery adds no row
    queue       text NOT NULL,
    body        jsonb NOT NULL,
    attempts    integer NOT NULL,
    sent_at     timestamptz NOT NULL,
    kept_at     timestamptz NOT NULL DEFAULT now(),
    replayed_at timestamptz
);

-- keep_dead_letters answers how many are new.
-- +goose StatementBegin
CREATE FUNCTION ledger.keep_dead_letters(p_queue text, p_letters json) RETURNS bigint LANGUAGE sql AS $$
    WITH kept AS (
        INSERT INTO ledger.dead_letter (message_id, queue, body, attempts, sent_at)
        SELECT l ->> 'id', p_queue, coalesce(ledger.as_jsonb(l -> 'body'), 'null'), (l ->> 'attempts')::integer, to_timestamp((l ->> 'sent_ms')::bigint / 1000.0)
        FROM json_array_elements(p_letters) l ORDER BY l ->> 'id'
        ON CONFLICT (message_id) DO NOTHING RETURNING 1)
    SELECT count(*) FROM kept
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ledger.keep_dead_letters(text, json);
DROP TABLE ledger.dead_letter;
