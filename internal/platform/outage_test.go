package platform_test

import (
	"net/http"
	"testing"
)

// While the database is away usage is taken, balances are shown as what they are, and nothing is lost.
func TestNothingIsLostWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	ada := m.user("ada@example.test")
	m.call("POST", "/api/billing/usage", `{"tokens_in":1000}`, ada, nil)
	m.awaitBalance(ada, -0.05)
	_ = m.db.Close(t.Context())
	m.must(0, nil, "db", "down")
	for range 20 {
		if code := m.call("POST", "/api/billing/usage", `{"tokens_in":1000}`, ada, nil); code != http.StatusAccepted {
			t.Errorf("usage while the database is away: %d", code)
		}
	}
	var a answer
	if _, code := m.balance(ada); code != http.StatusOK {
		t.Errorf("a balance that KV has: %d", code)
	}
	if code := m.call("GET", "/api/credits?email=nobody@example.test", "", m.operator(), &a); code != http.StatusServiceUnavailable || a.Error != "balance_unavailable" {
		t.Errorf("a balance that KV does not have: %d %+v", code, a)
	}
	if code := m.call("POST", "/api/credits/adjust", `{"email":"ada@example.test","delta":1}`, m.operator(), &a); code != http.StatusServiceUnavailable || a.Error != "admin_log_unavailable" {
		t.Errorf("an adjustment that cannot be put in the log first: %d %+v", code, a)
	}
	m.must(0, nil, "db", "up")
	m.connect()
	m.awaitBalance(ada, -1.05)
	if n := one[int64](m, "SELECT count(*) FROM ledger.transfer"); n != 21 {
		t.Errorf("%d transfers, want 21", n)
	}
}
