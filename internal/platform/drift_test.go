package platform_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Drift that is planted in KV is found, made good by what the ledger says, and explained; what was there is kept.
func TestDriftIsRepairedAndExplained(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	for _, name := range []string{"wrong", "missing", "old"} {
		m.call("POST", "/api/credits/adjust", `{"email":"`+name+`@example.test","set":7}`, m.operator(), nil)
	}
	const copyOf = `{"balance_credits":%d,"updated_at":"2026-11-25T00:00:00.000Z","held_credits":0,"owed_credits":0,"version":%d,"as_of":"2026-11-25T00:00:00.000Z"}`
	right := func(name string) bool {
		return strings.Contains(m.held("balance:"+name+"@example.test"), `"balance_credits":7,`)
	}
	m.until("copies", func() bool { return right("wrong") && right("missing") && right("old") }, func() string { return "" })
	m.plant("balance:wrong@example.test", fmt.Sprintf(copyOf, 7_000_000, 1))
	m.plant("balance:old@example.test", fmt.Sprintf(copyOf, 3, 0))
	m.plant("balance:foreign@example.test", fmt.Sprintf(copyOf, 9, 4))
	m.api("DELETE", "/accounts/"+m.endpoints().AccountID+"/storage/kv/namespaces/"+m.kv+"/values/balance:missing@example.test", "")
	m.until("repair", func() bool {
		if code := m.call("POST", "/api/admin/reconcile", "", m.operator(), nil); code != http.StatusOK {
			t.Fatalf("reconcile: %d", code)
		}
		return right("wrong") && right("missing") && right("old") && m.held("balance:foreign@example.test") == ""
	}, func() string { return m.held("balance:wrong@example.test") })
	for kind, name := range map[string]string{"wrong": "wrong", "missing": "missing", "old": "old", "foreign": "foreign"} {
		const found = "SELECT count(*) FROM ledger.reconcile_finding WHERE key = $1 AND kind = $2 AND repaired AND why <> ''"
		if n := one[int64](m, found, "balance:"+name+"@example.test", kind); n != 1 {
			t.Errorf("%s was found %d times", kind, n)
		}
	}
	if before := one[string](m, "SELECT before FROM ledger.reconcile_finding WHERE kind = 'foreign'"); before != fmt.Sprintf(copyOf, 9, 4) {
		t.Errorf("what was taken away is kept as %s", before)
	}
}
