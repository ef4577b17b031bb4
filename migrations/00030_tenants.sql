-- Tenants that are there: nobody is minted a token for another, and one that is suspended is in the list that the gateway reads.
-- release: 1
-- phase: expand

-- +goose Up
CREATE TABLE auth.tenant (
    id         text PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9_-]{1,128}$'),
    state      text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    why        text NOT NULL, -- of its state
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- Those that tokens name already: sign-ins, and what the admin log has of single tokens. Nobody is locked out by having been there before.
INSERT INTO auth.tenant (id, why)
SELECT id, 'a token named it before tenants were kept'
FROM (SELECT tenant FROM auth.family UNION SELECT detail ->> 'tenant' FROM auth.admin_log WHERE action = 'POST /auth/token') AS named (id)
WHERE id ~ '^[A-Za-z0-9_-]{1,128}$';

-- is_suspended is of a refresh token: whether its sign-in is of a tenant that is suspended.
-- +goose StatementBegin
CREATE FUNCTION auth.is_suspended(p_digest text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM auth.refresh r JOIN auth.family f ON f.id = r.family JOIN auth.tenant t ON t.id = f.tenant
        WHERE r.digest = p_digest AND t.state = 'suspended')
$$;
-- +goose StatementEnd

-- list_with_tenants is auth.list and who is suspended. That is asked after auth.list has kept other lists out, so that no list has an
-- older answer than the one before it.
-- +goose StatementBegin
CREATE FUNCTION auth.list_with_tenants(p_now bigint, p_listed_until bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    list jsonb := auth.list(p_now, p_listed_until);
BEGIN
    RETURN list || jsonb_build_object('tenant', (SELECT coalesce(jsonb_agg(id ORDER BY id), '[]') FROM auth.tenant WHERE state = 'suspended'));
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION auth.list_with_tenants(bigint, bigint);
DROP FUNCTION auth.is_suspended(text);
DROP TABLE auth.tenant;
