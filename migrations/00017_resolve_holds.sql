-- Resolving holds: capture posts what was used and frees the rest, void and expiry free everything; each hold once.
-- release: 1
-- phase: expand

-- +goose Up
-- capture answers {outcome, balance}. Outcomes: captured; duplicate; conflict (captured before with another amount, or the id is
-- another transfer's); voided; unknown_hold. Work that was done is settled even when its hold has expired or was too small: what
-- the account cannot pay down to its floor, system:overage pays and the account owes.
-- +goose StatementBegin
CREATE FUNCTION ledger.capture(p_id uuid, p_amount bigint, p_at timestamptz DEFAULT now(), p_meta jsonb DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE h ledger.hold; freed bigint; paid bigint;
BEGIN
    IF p_amount IS NULL OR p_amount <= 0 OR p_at IS NULL THEN
        RAISE EXCEPTION 'a capture wants an amount above 0: free a hold with void' USING ERRCODE = '22023';
    END IF;
    SELECT * INTO h FROM ledger.hold WHERE id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN ledger.hold_answer('unknown_hold', NULL);
    ELSIF h.state = 'voided' THEN
        RETURN ledger.hold_answer('voided', h.account_id);
    ELSIF h.state = 'captured' THEN
        RETURN ledger.hold_answer(CASE WHEN h.captured = p_amount THEN 'duplicate' ELSE 'conflict' END, h.account_id);
    ELSIF EXISTS (SELECT FROM ledger.transfer WHERE id = p_id) THEN
        RETURN ledger.hold_answer('conflict', h.account_id);
    END IF;
    freed := CASE h.state WHEN 'pending' THEN h.amount ELSE 0 END;
    SELECT least(p_amount, greatest(0, b.credits - b.debits - b.held + freed - b.floor)) INTO paid
    FROM ledger.balance b WHERE b.account_id = h.account_id FOR UPDATE;
    INSERT INTO ledger.transfer (id, kind, debit_id, credit_id, amount, owed_by, ref, meta, occurred_at)
    SELECT v.id, 'capture', v.debit, 1, v.amount, v.owed_by, p_id, p_meta, p_at
    FROM (VALUES (p_id, h.account_id, paid, NULL::bigint),
                 (CASE WHEN paid = 0 THEN p_id ELSE md5(p_id || ':overage')::uuid END, 3, p_amount - paid, h.account_id)) v (id, debit, amount, owed_by)
    WHERE v.amount > 0;
    UPDATE ledger.hold SET state = 'captured', captured = p_amount, resolved_at = now() WHERE id = p_id;
    UPDATE ledger.balance SET held = held - freed, debits = debits + paid, overage = overage + p_amount - paid, version = version + 1, updated_at = now()
    WHERE account_id = h.account_id;
    RETURN ledger.hold_answer('captured', h.account_id);
END $$;
-- +goose StatementEnd

-- void answers {outcome, balance}. Outcomes: voided; duplicate; captured; expired; unknown_hold.
-- +goose StatementBegin
CREATE FUNCTION ledger.void(p_id uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE h ledger.hold;
BEGIN
    SELECT * INTO h FROM ledger.hold WHERE id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN ledger.hold_answer('unknown_hold', NULL);
    ELSIF h.state <> 'pending' THEN
        RETURN ledger.hold_answer(CASE h.state WHEN 'voided' THEN 'duplicate' ELSE h.state END, h.account_id);
    END IF;
    UPDATE ledger.hold SET state = 'voided', resolved_at = now() WHERE id = p_id;
    UPDATE ledger.balance SET held = held - h.amount, version = version + 1, updated_at = now() WHERE account_id = h.account_id;
    RETURN ledger.hold_answer('voided', h.account_id);
END $$;
-- +goose StatementEnd

-- expire frees up to p_limit holds whose time is over, and answers how many. Holds that another sweeper or a capture has in hand are
-- left to it.
-- +goose StatementBegin
CREATE FUNCTION ledger.expire(p_limit integer DEFAULT 1000) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE due uuid[];
BEGIN
    due := ARRAY(SELECT h.id FROM ledger.hold h WHERE h.state = 'pending' AND h.expires_at < now() ORDER BY h.expires_at, h.id LIMIT p_limit FOR UPDATE SKIP LOCKED);
    PERFORM FROM ledger.balance b WHERE b.account_id IN (SELECT h.account_id FROM ledger.hold h WHERE h.id = ANY (due)) ORDER BY b.account_id FOR UPDATE;
    UPDATE ledger.hold SET state = 'expired', resolved_at = now() WHERE id = ANY (due);
    UPDATE ledger.balance b SET held = b.held - f.amount, version = b.version + 1, updated_at = now()
    FROM (SELECT h.account_id, sum(h.amount)::bigint AS amount FROM ledger.hold h WHERE h.id = ANY (due) GROUP BY h.account_id) f
    WHERE b.account_id = f.account_id;
    RETURN cardinality(due);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ledger.expire(integer);
DROP FUNCTION ledger.void(uuid);
DROP FUNCTION ledger.capture(uuid, bigint, timestamptz, jsonb);
