-- Posting: a batch in one statement. Journal and balances move together; an id that is known adds nothing; what cannot be posted
-- is named and kept for review while its neighbours are posted.
-- release: 1
-- phase: expand

-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION ledger.keep_for_review(p_rows ledger.posting[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO ledger.review AS kept (event_id, reason, event, times, digest)
    SELECT min(given_id), min(outcome), (array_agg(raw))[1], count(*), digest
    FROM (SELECT r.*, sha256(convert_to(outcome || raw::text, 'UTF8')) AS digest FROM unnest(p_rows) r) x
    GROUP BY digest ORDER BY digest
    ON CONFLICT (digest) DO UPDATE SET times = kept.times + excluded.times, last_seen = now()
$$;
-- +goose StatementEnd

-- Rows whose balances are locked by the caller are written; what comes back is the ids that are new, and those that went beyond
-- the floor. A row's room counts everything before it in the batch, also what did not fit: never too much room, for one pass.
-- +goose StatementBegin
CREATE FUNCTION ledger.write_transfers(p_rows ledger.posting[], OUT posted uuid[], OUT beyond uuid[]) LANGUAGE plpgsql AS $$
DECLARE wanted bigint; updated bigint;
BEGIN
    WITH fresh AS (
        SELECT DISTINCT ON (r.id) r.* FROM unnest(p_rows) r
        WHERE r.outcome IS NULL AND NOT EXISTS (SELECT FROM ledger.transfer t WHERE t.id = r.id) ORDER BY r.id, r.pos),
    placed AS (
        SELECT f.*, f.kind IN ('usage', 'charge') AND b.credits - b.debits - b.held - b.floor
            + sum(CASE WHEN f.kind IN ('usage', 'charge') THEN -f.amount ELSE f.amount END) OVER (PARTITION BY f.account_id ORDER BY f.pos) < 0 AS too_much
        FROM fresh f JOIN ledger.balance b ON b.account_id = f.account_id),
    ins AS (
        INSERT INTO ledger.transfer (id, kind, debit_id, credit_id, amount, owed_by, ref, meta, occurred_at)
        SELECT id, kind, CASE kind WHEN 'grant' THEN 2 WHEN 'refund' THEN 1 ELSE CASE WHEN too_much THEN 3 ELSE account_id END END,
               CASE kind WHEN 'usage' THEN 1 WHEN 'charge' THEN 2 ELSE account_id END,
               amount, CASE WHEN too_much THEN account_id END, ref, meta, occurred_at
        FROM placed WHERE NOT (too_much AND kind = 'charge')
        ORDER BY id -- two batches with the same ids wait for each other in one order
        ON CONFLICT (id) DO NOTHING RETURNING id, debit_id, credit_id, amount, owed_by),
    moved AS (
        SELECT account_id, sum(d)::bigint AS d, sum(c)::bigint AS c, sum(o)::bigint AS o FROM (
            SELECT debit_id AS account_id, amount AS d, 0 AS c, 0 AS o FROM ins WHERE debit_id >= 1000
            UNION ALL SELECT credit_id, 0, amount, 0 FROM ins WHERE credit_id >= 1000
            UNION ALL SELECT owed_by, 0, 0, amount FROM ins WHERE owed_by IS NOT NULL) x GROUP BY account_id),
    upd AS (
        UPDATE ledger.balance b SET debits = b.debits + m.d, credits = b.credits + m.c, overage = b.overage + m.o, version = b.version + 1, updated_at = now()
        FROM moved m WHERE b.account_id = m.account_id RETURNING 1)
    SELECT (SELECT array_agg(i.id) FROM ins i), (SELECT array_agg(i.id) FROM ins i WHERE i.owed_by IS NOT NULL),
           (SELECT count(*) FROM moved), (SELECT count(*) FROM upd)
    INTO posted, beyond, wanted, updated;
    IF wanted <> updated THEN
        RAISE EXCEPTION 'of % accounts that moved only % have a balance', wanted, updated;
    END IF;
END $$;
-- +goose StatementEnd

-- post_batch answers {outcomes: [one word for each event, in order], balances: [those of the accounts named]}. Outcomes: posted;
-- overage (posted, beyond the floor, owed); duplicate; and, kept for review: conflict (a known id with other content: the first
-- one stands), insufficient (a charge beyond the floor), unknown_account, invalid_* and not_an_event.
-- +goose StatementBegin
CREATE FUNCTION ledger.post_batch(p_events json, p_open_accounts boolean DEFAULT false) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    batch ledger.posting[];
    accounts bigint[];
    posted uuid[];
    beyond uuid[];
BEGIN
    IF json_typeof(p_events) <> 'array' THEN
        RAISE EXCEPTION 'events must be a JSON array, not %', json_typeof(p_events) USING ERRCODE = '22023';
    END IF;
    batch := ledger.read_events(p_events);
    IF p_open_accounts AND EXISTS (SELECT FROM unnest(batch) r WHERE r.outcome IS NULL AND r.account_id IS NULL) THEN
        PERFORM ledger.open_accounts((SELECT array_agg(r.account) FROM unnest(batch) r WHERE r.outcome IS NULL AND r.account_id IS NULL));
        batch := ledger.read_events(p_events);
    END IF;
    accounts := ARRAY(SELECT DISTINCT r.account_id FROM unnest(batch) r WHERE r.account_id IS NOT NULL);
    PERFORM FROM ledger.balance b WHERE b.account_id = ANY (accounts) ORDER BY b.account_id FOR UPDATE;
    SELECT w.posted, w.beyond INTO posted, beyond FROM ledger.write_transfers(
        ARRAY(SELECT r FROM unnest(batch) r WHERE r.outcome IS NULL AND r.account_id IS NOT NULL)) w;
    batch := ledger.judge(batch, coalesce(posted, '{}'), coalesce(beyond, '{}'));
    IF EXISTS (SELECT FROM unnest(batch) r WHERE r.outcome NOT IN ('posted', 'overage', 'duplicate')) THEN
        PERFORM ledger.keep_for_review(ARRAY(SELECT r FROM unnest(batch) r WHERE r.outcome NOT IN ('posted', 'overage', 'duplicate')));
    END IF;
    RETURN jsonb_build_object('outcomes', (SELECT coalesce(jsonb_agg(r.outcome ORDER BY r.pos), '[]') FROM unnest(batch) r),
                              'balances', ledger.balances_json(accounts));
END $$;
-- +goose StatementEnd

-- The first row of an id that was posted is the posted one; every other is compared with what the journal holds. Times and notes
-- are not compared: they move no money.
-- +goose StatementBegin
CREATE FUNCTION ledger.judge(p_rows ledger.posting[], p_posted uuid[], p_beyond uuid[]) RETURNS ledger.posting[] LANGUAGE sql AS $$
    WITH r AS MATERIALIZED (
        SELECT u.*, row_number() OVER (PARTITION BY u.id, u.outcome IS NULL AND u.account_id IS NOT NULL ORDER BY u.pos) AS nth FROM unnest(p_rows) u),
    new AS MATERIALIZED (SELECT n AS id, n = ANY (p_beyond) AS owed FROM unnest(p_posted) n)
    SELECT coalesce(array_agg(ROW(r.pos, r.raw, r.given_id, CASE
        WHEN r.outcome IS NOT NULL THEN r.outcome
        WHEN r.account_id IS NULL THEN CASE WHEN t.id IS NULL THEN 'unknown_account' ELSE 'conflict' END
        WHEN new.id IS NOT NULL AND r.nth = 1 THEN CASE WHEN new.owed THEN 'overage' ELSE 'posted' END
        WHEN t.id IS NULL THEN 'insufficient'
        WHEN t.kind = r.kind AND t.amount = r.amount AND (coalesce(t.owed_by, t.debit_id) = r.account_id OR t.credit_id = r.account_id) THEN 'duplicate'
        ELSE 'conflict' END,
        r.id, r.kind, r.account, r.account_id, r.amount, r.occurred_at, r.ref, r.meta)::ledger.posting ORDER BY r.pos), '{}')
    FROM r LEFT JOIN new ON new.id = r.id LEFT JOIN ledger.transfer t ON t.id = r.id
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION ledger.judge(ledger.posting[], uuid[], uuid[]);
DROP FUNCTION ledger.post_batch(json, boolean);
DROP FUNCTION ledger.write_transfers(ledger.posting[]);
DROP FUNCTION ledger.keep_for_review(ledger.posting[]);
