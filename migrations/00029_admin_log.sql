-- What was done with the admin key: added to, never changed.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TABLE auth.admin_log (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    phase      text NOT NULL CHECK (phase IN ('asked', 'answered')), -- asked alone: the Worker ended before it could say more
    call       uuid NOT NULL,                                        -- joins the two
    request_id text NOT NULL,
    action     text NOT NULL,                                        -- method and path
    actor      text,                                                 -- who the caller says they are; the key itself names nobody
    acting_for text,
    address    text,
    detail     jsonb NOT NULL DEFAULT '{}',
    status     integer CHECK ((status IS NULL) = (phase = 'asked')),
    error      text
);

-- +goose StatementBegin
CREATE FUNCTION auth.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the admin log is added to, never changed' USING ERRCODE = 'insufficient_privilege';
END
$$;
-- +goose StatementEnd

-- A statement that is to change no row is refused too: nobody has a reason to try.
CREATE TRIGGER admin_log_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON auth.admin_log FOR EACH STATEMENT EXECUTE FUNCTION auth.refuse_change();

-- note adds a line. Texts are cut to what a line may hold.
-- +goose StatementBegin
CREATE FUNCTION auth.note(p json) RETURNS void LANGUAGE sql AS $$
    INSERT INTO auth.admin_log (phase, call, request_id, action, actor, acting_for, address, detail, status, error)
    VALUES (p ->> 'phase', (p ->> 'call')::uuid, left(p ->> 'request_id', 128), left(p ->> 'action', 128), left(p ->> 'actor', 128), left(p ->> 'acting_for', 320),
        left(p ->> 'address', 64), coalesce((p ->> 'detail')::jsonb, '{}'), (p ->> 'status')::integer, left(p ->> 'error', 128))
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION auth.note(json);
DROP TABLE auth.admin_log;
DROP FUNCTION auth.refuse_change();
