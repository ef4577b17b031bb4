-- Drift: every way in which balances, holds and the journal disagree. It must be empty.
-- release: 1
-- phase: expand

-- +goose Up
CREATE VIEW ledger.drift AS
WITH moved AS (
    SELECT account_id, sum(d) AS debits, sum(c) AS credits, sum(o) AS overage FROM (
        SELECT debit_id AS account_id, amount AS d, 0 AS c, 0 AS o FROM ledger.transfer
        UNION ALL SELECT credit_id, 0, amount, 0 FROM ledger.transfer
        UNION ALL SELECT owed_by, 0, 0, amount FROM ledger.transfer WHERE owed_by IS NOT NULL) x
    GROUP BY account_id),
reserved AS (SELECT account_id, sum(amount) AS held FROM ledger.hold WHERE state = 'pending' GROUP BY account_id),
sides AS (
    SELECT b.account_id, v.what, v.says::numeric AS balance_says, coalesce(v.journal, 0)::numeric AS journal_says
    FROM ledger.balance b
    LEFT JOIN moved m ON m.account_id = b.account_id
    LEFT JOIN reserved r ON r.account_id = b.account_id
    CROSS JOIN LATERAL (VALUES ('debits', b.debits, m.debits), ('credits', b.credits, m.credits), ('overage', b.overage, m.overage), ('held', b.held, r.held)) v (what, says, journal)
    WHERE v.says <> coalesce(v.journal, 0))
SELECT s.account_id, a.ref AS account, s.what, s.balance_says, s.journal_says FROM sides s LEFT JOIN ledger.account a ON a.id = s.account_id
UNION ALL
SELECT a.id, a.ref, 'no balance row', NULL, NULL FROM ledger.account a
WHERE a.kind = 'customer' AND NOT EXISTS (SELECT FROM ledger.balance b WHERE b.account_id = a.id)
UNION ALL
SELECT m.account_id, NULL, 'no account', NULL, m.credits - m.debits FROM moved m
WHERE NOT EXISTS (SELECT FROM ledger.account a WHERE a.id = m.account_id)
UNION ALL
SELECT h.account_id, a.ref, 'capture of hold ' || h.id, h.captured, coalesce(t.amount, 0)
FROM ledger.hold h JOIN ledger.account a ON a.id = h.account_id
LEFT JOIN (SELECT ref, sum(amount) AS amount FROM ledger.transfer WHERE kind = 'capture' GROUP BY ref) t ON t.ref = h.id
WHERE h.captured <> coalesce(t.amount, 0);

-- +goose Down
DROP VIEW ledger.drift;
