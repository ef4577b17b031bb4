-- Holding: sets an amount aside while it is there. The answer is a word, not an error: being short of credits is no failure.
-- release: 1
-- phase: expand

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION ledger.hold_answer(p_outcome text, p_account bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('outcome', p_outcome, 'balance', ledger.balances_json(ARRAY[p_account]) -> 0)
$$;
-- +goose StatementEnd

-- hold answers {outcome, balance}. Outcomes: held; duplicate (the same hold again, whatever became of it); conflict (the id is
-- another hold's); insufficient; unknown_account.
-- +goose StatementBegin
CREATE FUNCTION ledger.hold(p_id uuid, p_account text, p_amount bigint, p_ttl interval) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE acct bigint; room bigint; was ledger.hold;
BEGIN
    IF p_id IS NULL OR p_amount IS NULL OR p_amount <= 0 OR p_ttl IS NULL OR p_ttl <= interval '0' OR p_ttl > interval '1 day' THEN
        RAISE EXCEPTION 'a hold wants an id, an amount above 0 and a time to live up to a day' USING ERRCODE = '22023';
    END IF;
    SELECT a.id INTO acct FROM ledger.account a WHERE a.ref = lower(p_account COLLATE "C") AND a.kind = 'customer';
    IF acct IS NULL THEN
        RETURN ledger.hold_answer('unknown_account', NULL);
    END IF;
    SELECT b.credits - b.debits - b.held - b.admit_floor INTO room FROM ledger.balance b WHERE b.account_id = acct FOR UPDATE;
    SELECT h.* INTO was FROM ledger.hold h WHERE h.id = p_id;
    IF FOUND THEN
        RETURN ledger.hold_answer(CASE WHEN was.account_id = acct AND was.amount = p_amount THEN 'duplicate' ELSE 'conflict' END, acct);
    END IF;
    IF room < p_amount THEN
        RETURN ledger.hold_answer('insufficient', acct);
    END IF;
    INSERT INTO ledger.hold (id, account_id, amount, expires_at) VALUES (p_id, acct, p_amount, now() + p_ttl) ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN -- another account's, at the same moment
        RETURN ledger.hold_answer('conflict', acct);
    END IF;
    UPDATE ledger.balance SET held = held + p_amount, version = version + 1, updated_at = now() WHERE account_id = acct;
    RETURN ledger.hold_answer('held', acct);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ledger.hold(uuid, text, bigint, interval);
DROP FUNCTION ledger.hold_answer(text, bigint);
