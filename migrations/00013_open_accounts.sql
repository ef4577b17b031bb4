-- Opening accounts: the account and its balance row appear together, once.
-- release: 1
-- phase: expand

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION ledger.open_accounts(p_refs text[]) RETURNS void LANGUAGE sql AS $$
    -- In order, so that two callers that open the same accounts wait for each other and never in a circle.
    WITH opened AS (
        INSERT INTO ledger.account (kind, ref)
        SELECT 'customer', r.ref FROM (SELECT DISTINCT lower(u COLLATE "C") AS ref FROM unnest(p_refs) u) r
        WHERE NOT EXISTS (SELECT FROM ledger.account a WHERE a.ref = r.ref)
        ORDER BY r.ref
        ON CONFLICT (ref) DO NOTHING RETURNING id)
    INSERT INTO ledger.balance (account_id) SELECT id FROM opened
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ledger.open_accounts(text[]);
