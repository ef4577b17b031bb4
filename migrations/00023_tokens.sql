-- Tokens that can be taken back: a refresh token is used once, and what is revoked is listed until no token of it can be valid.
-- release: 1
-- phase: expand

-- +goose Up
CREATE SCHEMA auth;

-- A family is what one sign-in gave: its refresh tokens follow one another, and end together.
CREATE TABLE auth.family (
    id         uuid PRIMARY KEY,
    account    text NOT NULL,
    role       text NOT NULL,
    tenant     text,
    opened_at  timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    closed_at  timestamptz,
    closed_why text
);

CREATE TABLE auth.refresh (
    digest    text PRIMARY KEY, -- SHA-256 of the token, which is kept nowhere
    family    uuid NOT NULL REFERENCES auth.family ON DELETE CASCADE,
    issued_at timestamptz NOT NULL DEFAULT now(),
    used_at   timestamptz
);

CREATE TABLE auth.revocation (
    kind         text NOT NULL CHECK (kind IN ('jti', 'subject', 'family')),
    value        text NOT NULL,
    issued_until bigint NOT NULL, -- of a subject: its tokens issued up to this second are revoked
    listed_until bigint NOT NULL, -- the second after which no such token can be valid
    why          text NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,     -- when it was in the list that KV was given
    PRIMARY KEY (kind, value)
);

-- revoke adds to the list, and ends what gives new tokens of the same kind. Again it only ever extends what was revoked.
-- +goose StatementBegin
CREATE FUNCTION auth.revoke(p_kind text, p_value text, p_issued_until bigint, p_listed_until bigint, p_why text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one uuid;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('auth.revocation'));
    INSERT INTO auth.revocation AS r (kind, value, issued_until, listed_until, why)
    VALUES (p_kind, p_value, p_issued_until, p_listed_until, p_why)
    ON CONFLICT (kind, value) DO UPDATE
    SET issued_until = greatest(r.issued_until, excluded.issued_until), listed_until = greatest(r.listed_until, excluded.listed_until), published_at = NULL
    WHERE r.issued_until < excluded.issued_until OR r.listed_until < excluded.listed_until;
    IF p_kind = 'family' THEN
        UPDATE auth.family SET closed_at = now(), closed_why = p_why WHERE id = p_value::uuid AND closed_at IS NULL;
    ELSIF p_kind = 'subject' THEN
        FOR one IN SELECT id FROM auth.family WHERE account = p_value AND closed_at IS NULL ORDER BY id LOOP
            PERFORM auth.revoke('family', one::text, p_issued_until, p_listed_until, p_why);
        END LOOP;
    END IF;
END
$$;
-- +goose StatementEnd

-- open_family begins a family with its first refresh token.
-- +goose StatementBegin
CREATE FUNCTION auth.open_family(p_id uuid, p_account text, p_role text, p_tenant text, p_digest text, p_life_s integer) RETURNS bigint LANGUAGE sql AS $$
    WITH opened AS (
        INSERT INTO auth.family (id, account, role, tenant, expires_at)
        VALUES (p_id, p_account, p_role, p_tenant, now() + make_interval(secs => p_life_s)) RETURNING id, expires_at),
    first AS (INSERT INTO auth.refresh (digest, family) SELECT p_digest, id FROM opened)
    SELECT floor(extract(epoch FROM expires_at))::bigint FROM opened
$$;
-- +goose StatementEnd

-- turn takes a refresh token for the next one, once. A token that was used before ends its family: one of its two holders stole it.
-- +goose StatementBegin
CREATE FUNCTION auth.turn(p_digest text, p_next text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    f auth.family;
    used timestamptz;
BEGIN
    -- The family first, as whoever ends it does: then no token of it can be given meanwhile.
    SELECT * INTO f FROM auth.family WHERE id = (SELECT family FROM auth.refresh WHERE digest = p_digest) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', 'unknown');
    END IF;
    SELECT used_at INTO used FROM auth.refresh WHERE digest = p_digest FOR UPDATE;
    IF f.closed_at IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', 'closed', 'family', f.id);
    ELSIF f.expires_at <= now() THEN
        RETURN jsonb_build_object('outcome', 'expired', 'family', f.id);
    ELSIF used IS NOT NULL THEN
        UPDATE auth.family SET closed_at = now(), closed_why = 'a refresh token was used twice' WHERE id = f.id; -- list adds it to the revocations
        RETURN jsonb_build_object('outcome', 'reused', 'family', f.id);
    END IF;
    UPDATE auth.refresh SET used_at = now() WHERE digest = p_digest;
    INSERT INTO auth.refresh (digest, family) VALUES (p_next, f.id);
    RETURN jsonb_build_object('outcome', 'turned', 'family', f.id, 'account', f.account, 'role', f.role, 'tenant', f.tenant,
        'expires', floor(extract(epoch FROM f.expires_at))::bigint);
END
$$;
-- +goose StatementEnd

-- show_refresh says what a refresh token is good for now; null for one that is unknown.
-- +goose StatementBegin
CREATE FUNCTION auth.show_refresh(p_digest text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('family', f.id, 'account', f.account, 'role', f.role, 'tenant', f.tenant,
        'expires', floor(extract(epoch FROM f.expires_at))::bigint,
        'active', r.used_at IS NULL AND f.closed_at IS NULL AND f.expires_at > now())
    FROM auth.refresh r JOIN auth.family f ON f.id = r.family WHERE r.digest = p_digest
$$;
-- +goose StatementEnd

-- is_revoked answers from what is known here, ahead of every copy.
-- +goose StatementBegin
CREATE FUNCTION auth.is_revoked(p_jti text, p_subject text, p_issued bigint, p_family text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM auth.revocation WHERE (kind, value) IN (('jti', p_jti), ('family', p_family)))
        OR EXISTS (SELECT FROM auth.revocation WHERE kind = 'subject' AND value = p_subject AND issued_until >= p_issued)
        OR EXISTS (SELECT FROM auth.family WHERE id = p_family::uuid AND closed_at IS NOT NULL)
$$;
-- +goose StatementEnd

-- list is what KV is to be given, marked as published: a caller whose write to KV fails rolls that back. Until its transaction ends no
-- revocation is made and no other list, so that lists reach KV in their order. What no valid token can need any more goes.
-- +goose StatementBegin
CREATE FUNCTION auth.list(p_now bigint, p_listed_until bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    fresh bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('auth.revocation'));
    DELETE FROM auth.revocation WHERE listed_until < p_now;
    DELETE FROM auth.family WHERE expires_at < now() - interval '7 days';
    INSERT INTO auth.revocation (kind, value, issued_until, listed_until, why)
    SELECT 'family', id::text, p_now, p_listed_until, closed_why FROM auth.family WHERE closed_at > now() - make_interval(secs => p_listed_until - p_now)
    ON CONFLICT (kind, value) DO NOTHING;
    UPDATE auth.revocation SET published_at = now() WHERE published_at IS NULL;
    GET DIAGNOSTICS fresh = ROW_COUNT;
    RETURN (SELECT jsonb_build_object(
        'jti', coalesce(jsonb_agg(value ORDER BY value) FILTER (WHERE kind = 'jti'), '[]'),
        'family', coalesce(jsonb_agg(value ORDER BY value) FILTER (WHERE kind = 'family'), '[]'),
        'subject', coalesce(jsonb_agg(jsonb_build_array(value, issued_until) ORDER BY value) FILTER (WHERE kind = 'subject'), '[]'),
        'fresh', fresh)
        FROM auth.revocation);
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION auth.list(bigint, bigint);
DROP FUNCTION auth.is_revoked(text, text, bigint, text);
DROP FUNCTION auth.show_refresh(text);
DROP FUNCTION auth.turn(text, text);
DROP FUNCTION auth.open_family(uuid, text, text, text, text, integer);
DROP FUNCTION auth.revoke(text, text, bigint, bigint, text);
DROP TABLE auth.revocation;
DROP TABLE auth.refresh;
DROP TABLE auth.family;
DROP SCHEMA auth;
