package platform_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/ledger/copies"
)

// aged puts uses into the journal as they would be an hour after they were posted: their projections are no longer on their way.
func (m *money) aged(account string, ids ...string) {
	m.t.Helper()
	const post = `WITH t AS (
		INSERT INTO ledger.transfer (id, kind, debit_id, credit_id, amount, meta, occurred_at, recorded_at)
		SELECT i::uuid, 'usage', a.id, 1, 50, '{"route":"/r","tokens_in":1,"tokens_out":0}', $3::timestamptz, $3::timestamptz
		FROM ledger.account a, unnest($2::text[]) i WHERE a.ref = $1 RETURNING debit_id, amount)
		UPDATE ledger.balance b SET debits = b.debits + s.n, version = b.version + 1, updated_at = now()
		FROM (SELECT debit_id, sum(amount) AS n FROM t GROUP BY debit_id) s WHERE b.account_id = s.debit_id`
	if _, err := m.db.Exec(m.t.Context(), post, account, ids, time.UnixMilli(m.hourAgo())); err != nil {
		m.t.Fatal(err)
	}
}

func (m *money) hourAgo() int64 { return m.began.Add(-time.Hour).UnixMilli() }

// reconcile makes one pass and gives what it found in the feed.
func (m *money) reconcile() map[string]string {
	m.t.Helper()
	var pass struct {
		Findings []struct {
			Key, Kind, Why string
			Repaired       bool
		}
	}
	if code := m.call("POST", "/api/admin/reconcile", "", m.operator(), &pass); code != http.StatusOK {
		m.t.Fatalf("reconcile: %d", code)
	}
	found := map[string]string{}
	for _, f := range pass.Findings {
		if strings.HasPrefix(f.Key, copies.FeedPrefix) {
			found[f.Key] = f.Kind
			if !f.Repaired || f.Why == "" {
				m.t.Errorf("%+v", f)
			}
		}
	}
	return found
}

// recorded is what all passes found in the feed, also those that the clock made.
func (m *money) recorded() map[string]string {
	m.t.Helper()
	raw := one[[]byte](m, `SELECT coalesce(json_object_agg(key, kind), '{}')::text::bytea FROM ledger.reconcile_finding WHERE starts_with(key, 'usage:') AND repaired AND why <> ''`)
	var all map[string]string
	if err := json.Unmarshal(raw, &all); err != nil {
		m.t.Fatal(err)
	}
	return all
}

// Every fault of the feed is found, made good by what the journal says, and explained; a feed that nobody touched gives no finding.
func TestFaultsOfTheFeedAreRepairedAndExplained(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	const account = "feed@example.test"
	who := m.user(account)
	m.call("POST", "/api/billing/usage", `{"tokens_in":1}`, who, nil)
	var feed struct{ Items []json.RawMessage }
	size := func(n int) func() bool {
		return func() bool { m.call("GET", "/api/billing/usage", "", who, &feed); return len(feed.Items) == n }
	}
	state := func() string { return fmt.Sprint(feed.Items) }
	m.until("the use in the feed", size(1), state)
	if found := m.reconcile(); len(found) != 0 {
		t.Errorf("an untouched feed: %v", found)
	}
	// Four uses whose projections were lost.
	ids := make([]string, 4)
	keys := make([]string, len(ids))
	for n := range ids {
		ids[n] = fmt.Sprintf("0192f0c1-2f3a-7abc-8def-%012d", n)
		keys[n] = copies.FeedKey(account, m.hourAgo(), ids[n])
	}
	m.aged(account, ids...)
	m.must(1, nil, "ledger", "drift")
	m.until("the lost uses in the feed", func() bool { m.reconcile(); return size(5)() }, state)
	right := m.held(keys[1])
	// As long as KV may not show a repair, the same finding is not made again: the record is set back to before that.
	if _, err := m.db.Exec(t.Context(), "UPDATE ledger.reconcile_finding SET found_at = found_at - interval '10 minutes'"); err != nil {
		t.Fatal(err)
	}
	foreign := copies.FeedKey(account, m.hourAgo(), "0192f0c1-2f3a-7abc-8def-00000000dead")
	before := copies.FeedKey(account, m.hourAgo(), "a")
	m.plant(keys[1], strings.Replace(right, `"cost_credits":0.00005`, `"cost_credits":0`, 1))
	m.plant(keys[2], "junk")
	m.api("DELETE", "/accounts/"+m.endpoints().AccountID+"/storage/kv/namespaces/"+m.kv+"/values/"+keys[3], "")
	m.plant(foreign, right)
	m.plant(before, `{"id":"a","created_at":"2026-11-01T00:00:00.000Z"}`)
	m.until("repair", func() bool {
		m.reconcile()
		return m.held(keys[1]) == right && m.held(keys[2]) != "junk" && m.held(keys[3]) != "" && m.held(foreign) == ""
	}, func() string { return m.held(keys[1]) })
	want := map[string]string{keys[0]: "missing", keys[1]: "wrong", keys[2]: "wrong", keys[3]: "missing", foreign: "foreign"}
	got := m.recorded()
	for key, kind := range want {
		if got[key] != kind {
			t.Errorf("%s was found %q, want %q", key, got[key], kind)
		}
	}
	if len(got) != len(want) {
		t.Errorf("found %v", got)
	}
	if kept := one[string](m, "SELECT before FROM ledger.reconcile_finding WHERE kind = 'foreign'"); kept != right {
		t.Errorf("what was taken away is kept as %s", kept)
	}
	if m.held(before) == "" {
		t.Error("the entry of the platform before is gone")
	}
	m.must(0, nil, "ledger", "drift")
	var status struct {
		Walks []struct {
			Name string
			Of   *int64 `json:"last_of_entries"`
		}
	}
	m.must(0, &status, "reconcile", "status")
	if len(status.Walks) != 2 || status.Walks[0].Of == nil || *status.Walks[0].Of < 4 {
		t.Errorf("%+v", status)
	}
}
