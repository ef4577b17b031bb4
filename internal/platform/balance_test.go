package platform_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// Usage that is posted is in the ledger once, and KV shows what the ledger says.
func TestUsageBecomesABalance(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	ada, odd := m.user("Ada@Example.test"), m.user("ü+tag'%{x}@example.test")
	if a, code := m.balance(ada); code != http.StatusOK || a.Balance != 0 {
		t.Errorf("before anything: %d %+v", code, a)
	}
	const body = `{"route":"/api/si/ask","tokens_in":1500,"tokens_out":500,"cost_credits":-1000,"meta":{"model":"m"}}`
	var first, again answer
	// Defect 5: a retried call is not billed again.
	keyed := with(ada, "Idempotency-Key", "call-1")
	if a, b := m.call("POST", "/api/billing/usage", body, keyed, &first), m.call("POST", "/usage", body, keyed, &again); a != 202 || b != 202 || first.ID != again.ID {
		t.Errorf("posted twice: %d %d, %s and %s", a, b, first.ID, again.ID)
	}
	m.call("POST", "/api/v1/billing/usage", `{"tokens_in":1}`, odd, nil)
	m.awaitBalance(ada, -0.1) // defect 2: a debt is a debt
	m.awaitBalance(odd, -0.00005)
	if n := one[int64](m, "SELECT count(*) FROM ledger.transfer"); n != 2 {
		t.Errorf("%d transfers, want 2", n)
	}
	// The same key with other content: the first one wins, and the second is kept for a person.
	m.call("POST", "/api/usage", `{"tokens_in":9}`, keyed, nil)
	m.until("conflict kept", func() bool { return one[int64](m, "SELECT count(*) FROM ledger.review WHERE reason = 'conflict'") == 1 }, func() string { return "" })
	var adjusted, repeated answer
	give := with(m.operator(), "Idempotency-Key", "gift-1")
	for _, out := range []*answer{&adjusted, &repeated} {
		if code := m.call("POST", "/api/credits/adjust", `{"email":"ADA@example.test","delta":5.1,"reason":"welcome"}`, give, out); code != http.StatusOK || out.Balance != 5 {
			t.Errorf("adjust: %d %+v", code, *out)
		}
	}
	if adjusted.Outcome != "posted" || repeated.Outcome != "duplicate" {
		t.Errorf("adjusted %q, repeated %q", adjusted.Outcome, repeated.Outcome)
	}
	m.awaitBalance(ada, 5)
	m.longestName()
	var feed struct {
		Items []struct {
			ID   string
			Cost float64 `json:"cost_credits"`
		}
	}
	m.until("use in the feed", func() bool {
		m.call("GET", "/billing/usage", "", ada, &feed)
		return len(feed.Items) == 1 && feed.Items[0].ID == first.ID && feed.Items[0].Cost == 0.1
	}, func() string { return fmt.Sprint(feed) })
	if n := one[int64](m, "SELECT count(*) FROM ledger.drift"); n != 0 {
		t.Errorf("%d lines of drift", n)
	}
}

// longestName has the longest account that there may be go the whole way, by the admin key, and a longer one turned away at the door.
func (m *money) longestName() {
	m.t.Helper()
	const domain = "@example.test"
	long := strings.Repeat("é%", (320-len(domain))/3) + "x" + domain // 320 bytes of UTF-8, which a path has to escape
	of := func(name string) string { return "/api/billing/usage?email=" + url.QueryEscape(name) }
	if code := m.call("POST", of(long), `{"tokens_in":2}`, m.operator(), nil); len(long) != 320 || code != http.StatusAccepted {
		m.t.Errorf("a name of %d bytes: %d", len(long), code)
	}
	var feed struct{ Items []answer }
	m.until("use of the longest name", func() bool {
		m.call("GET", of(long), "", m.operator(), &feed)
		return len(feed.Items) == 1 && m.held("balance:"+long) != ""
	}, func() string { return fmt.Sprint(feed) })
	var refused answer
	if code := m.call("POST", of("x"+long), `{"tokens_in":2}`, m.operator(), &refused); code != http.StatusBadRequest || refused.Error != "invalid_email" {
		m.t.Errorf("a longer name: %d %+v", code, refused)
	}
}

// Defect 2 of the platform before: concurrent calls read, changed and wrote one balance in KV, and lost debits. Here every one counts.
func TestConcurrentUseIsCountedInFull(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	ada := m.user("ada@example.test")
	const callers, each = 10, 10
	var group errgroup.Group
	for caller := range callers {
		group.Go(func() error {
			for n := range each {
				path, body, who, want := "/api/billing/usage", `{"tokens_in":1000}`, ada, http.StatusAccepted
				if n == 0 {
					path, body, want = "/api/credits/adjust", `{"email":"ada@example.test","delta":2}`, http.StatusOK
					who = with(m.operator(), "Idempotency-Key", fmt.Sprint("gift-", caller))
				}
				code, err := m.send(path, body, who)
				for tries := 0; n == 0 && code == http.StatusServiceUnavailable && tries < 5; tries++ { // away on a busy machine; it may have been done
					code, err = m.send(path, body, who)
				}
				if err != nil || code != want {
					return fmt.Errorf("%s: %d %w", path, code, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	m.awaitBalance(ada, callers*2-callers*(each-1)*0.05)
	if n := one[int64](m, "SELECT count(*) FROM ledger.drift"); n != 0 {
		t.Errorf("%d lines of drift", n)
	}
	var a struct{ Items []any }
	m.until("the whole feed", func() bool {
		m.call("GET", "/usage?limit=100", "", ada, &a)
		return len(a.Items) == callers*(each-1)
	}, func() string { return fmt.Sprint(len(a.Items)) })
}

// send posts from any goroutine.
func (m *money) send(path, body string, with header) (int, error) {
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, m.edge+path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, value := range with {
		req.Header.Set(name, value)
	}
	res, err := m.http.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}
