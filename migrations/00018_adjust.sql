-- Adjusting: an operator gives, takes or sets credits, once for each key.
-- release: 1
-- phase: expand

-- +goose Up
-- adjust answers {outcome, applied, balance}. Outcomes: posted; unchanged (the balance was so already; the key is used up all the
-- same); duplicate; conflict (the key was used for something else); insufficient (it would go below the floor). The account is
-- opened when there is none: an operator may give credits before the first use.
-- +goose StatementBegin
CREATE FUNCTION ledger.adjust(p_id uuid, p_account text, p_set bigint, p_delta bigint, p_actor text, p_reason text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE acct bigint; b ledger.balance; was ledger.adjustment; change bigint;
BEGIN
    IF p_id IS NULL OR (p_set IS NULL) = (p_delta IS NULL) OR coalesce(p_actor, '') = '' OR p_reason IS NULL
       OR abs(coalesce(p_set, p_delta)) > 1000000000000000 THEN
        RAISE EXCEPTION 'an adjustment wants an id, one of set and delta, an actor and a reason' USING ERRCODE = '22023';
    ELSIF lower(p_account COLLATE "C") LIKE 'system:%' THEN
        RAISE EXCEPTION 'the system''s own accounts are not adjusted' USING ERRCODE = '22023';
    END IF;
    PERFORM ledger.open_accounts(ARRAY[p_account]);
    SELECT a.id INTO acct FROM ledger.account a WHERE a.ref = lower(p_account COLLATE "C");
    SELECT * INTO b FROM ledger.balance x WHERE x.account_id = acct FOR UPDATE;
    SELECT * INTO was FROM ledger.adjustment x WHERE x.id = p_id;
    IF FOUND THEN
        RETURN ledger.hold_answer(CASE WHEN was.account_id = acct AND was.set_to IS NOT DISTINCT FROM p_set AND was.delta IS NOT DISTINCT FROM p_delta
            THEN 'duplicate' ELSE 'conflict' END, acct) || jsonb_build_object('applied', 0);
    ELSIF EXISTS (SELECT FROM ledger.transfer t WHERE t.id = p_id) THEN
        RETURN ledger.hold_answer('conflict', acct) || jsonb_build_object('applied', 0);
    END IF;
    change := coalesce(p_delta, p_set - (b.credits - b.debits));
    IF change < 0 AND b.credits - b.debits - b.held + change < b.floor THEN
        RETURN ledger.hold_answer('insufficient', acct) || jsonb_build_object('applied', 0);
    END IF;
    INSERT INTO ledger.adjustment (id, account_id, set_to, delta, applied, balance_after, actor, reason)
    VALUES (p_id, acct, p_set, p_delta, change, b.credits - b.debits + change, p_actor, p_reason);
    IF change = 0 THEN
        RETURN ledger.hold_answer('unchanged', acct) || jsonb_build_object('applied', 0);
    END IF;
    INSERT INTO ledger.transfer (id, kind, debit_id, credit_id, amount, meta, occurred_at)
    VALUES (p_id, CASE WHEN change > 0 THEN 'grant' ELSE 'charge' END, CASE WHEN change > 0 THEN 2 ELSE acct END, CASE WHEN change > 0 THEN acct ELSE 2 END,
            abs(change), jsonb_build_object('actor', p_actor, 'reason', p_reason), now());
    UPDATE ledger.balance x SET credits = x.credits + greatest(change, 0), debits = x.debits + greatest(-change, 0), version = x.version + 1, updated_at = now()
    WHERE x.account_id = acct;
    RETURN ledger.hold_answer('posted', acct) || jsonb_build_object('applied', change);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ledger.adjust(uuid, text, bigint, bigint, text, text);
