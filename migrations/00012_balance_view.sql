-- What an account has, as the API and the copies in KV show it.
-- release: 1
-- phase: expand

-- +goose Up
CREATE VIEW ledger.account_balance AS
SELECT a.id AS account_id, a.ref AS account, b.credits - b.debits AS balance, b.held, b.credits - b.debits - b.held AS available,
       b.overage, b.admit_floor, b.floor, b.version, b.updated_at
FROM ledger.account a JOIN ledger.balance b ON b.account_id = a.id;

-- +goose StatementBegin
CREATE FUNCTION ledger.balances_json(p_ids bigint[]) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'account', account, 'balance', balance, 'held', held, 'available', available, 'overage', overage, 'version', version,
        'updated_at_ms', (extract(epoch FROM updated_at) * 1000)::bigint) ORDER BY account), '[]')
    FROM ledger.account_balance WHERE account_id = ANY (p_ids)
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ledger.balances_json(bigint[]);
DROP VIEW ledger.account_balance;
