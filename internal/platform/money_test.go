package platform_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/internal/cfapi"
)

// money drives the way of usage: through the edge as a client does, and into the ledger and KV as an operator may look.
type money struct {
	journey
	http  *http.Client
	edge  string
	admin string
	db    *pgx.Conn
	cf    *cfapi.Client
	kv    string
	began time.Time
}

func newMoney(t *testing.T) *money {
	t.Helper()
	return moneyOn(t, newJourney(t))
}

// moneyOn is the way of usage on a platform of one's own making.
func moneyOn(t *testing.T, j journey) *money {
	t.Helper()
	m := &money{journey: j, began: time.Now()}
	m.must(0, nil, "up", "--skip-proof") // the proof of Phase 1 sends usage of its own, and these tests count theirs
	e := m.endpoints()
	pem, err := os.ReadFile(e.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	m.http = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", e.EdgeHTTPS)
		},
	}}
	m.edge = "https://api.cognomega.localhost"
	var secrets map[string]string
	raw, err := os.ReadFile(filepath.Join(m.dir, "secrets.json"))
	if err != nil || json.Unmarshal(raw, &secrets) != nil {
		t.Fatalf("secrets: %v", err)
	}
	m.admin = secrets["ADMIN_API_KEY"]
	m.connect()
	token, err := e.Token()
	if err != nil {
		t.Fatal(err)
	}
	if m.cf, err = cfapi.New(cfapi.Config{BaseURL: e.APIHTTP, Token: token, AccountID: e.AccountID}); err != nil {
		t.Fatal(err)
	}
	ns, err := m.cf.NamespaceByTitle(t.Context(), "cognomega-billing")
	if err != nil {
		t.Fatal(err)
	}
	m.kv = ns.ID
	return m
}

// connect opens the ledger as cogctl db psql-url says.
func (m *money) connect() {
	m.t.Helper()
	cmd := m.command("db", "psql-url")
	cmd.Args = cmd.Args[:len(cmd.Args)-2] // the plain text: an address alone
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatal(err)
	}
	if m.db, err = pgx.Connect(m.t.Context(), strings.TrimSpace(string(out))); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = m.db.Close(context.Background()) })
}

type header = map[string]string

// call sends a request through the edge and decodes the answer, whose status it returns.
func (m *money) call(method, path, body string, with header, out any) int {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.edge+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	for name, value := range with {
		req.Header.Set(name, value)
	}
	res, err := m.http.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	if out != nil {
		if err := json.NewDecoder(bytes.NewReader(raw)).Decode(out); err != nil {
			m.t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, raw)
		}
	}
	return res.StatusCode
}

// user is the header of a user's own token.
func (m *money) user(email string) header {
	m.t.Helper()
	var minted struct{ Token string }
	if code := m.call("POST", "/auth/token", fmt.Sprintf(`{"email":%q}`, email), header{"X-Admin-Key": m.admin}, &minted); code != http.StatusOK {
		m.t.Fatalf("token of %s: %d", email, code)
	}
	return header{"Authorization": "Bearer " + minted.Token}
}

func (m *money) operator() header { return header{"X-Admin-Key": m.admin} }

func with(h header, name, value string) header {
	all := header{name: value}
	for k, v := range h {
		all[k] = v
	}
	return all
}

type answer struct {
	ID      string
	Error   string
	Outcome string
	Balance float64 `json:"balance_credits"`
	Stale   bool
}

func (m *money) balance(who header) (a answer, code int) {
	m.t.Helper()
	code = m.call("GET", "/api/credits", "", who, &a)
	return a, code
}

// awaitBalance waits until an account's balance in credits is shown.
func (m *money) awaitBalance(who header, credits float64) {
	m.t.Helper()
	var a answer
	m.until(fmt.Sprintf("a balance of %v", credits), func() bool { a, _ = m.balance(who); return a.Balance == credits }, func() string { return fmt.Sprint(a) })
}

func (m *money) until(what string, holds func() bool, state func() string) {
	m.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !holds(); <-time.After(25 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("no %s within a minute: %s", what, state())
		}
	}
}

// one reads a single value of the ledger.
func one[T any](m *money, sql string, args ...any) (v T) {
	m.t.Helper()
	if err := m.db.QueryRow(m.t.Context(), sql, args...).Scan(&v); err != nil {
		m.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func (m *money) held(key string) string {
	m.t.Helper()
	raw, err := m.cf.KVGet(m.t.Context(), m.kv, key)
	if err != nil {
		return ""
	}
	return string(raw)
}

func (m *money) plant(key, value string) {
	m.t.Helper()
	if err := m.cf.KVPut(m.t.Context(), m.kv, key, []byte(value)); err != nil {
		m.t.Fatal(err)
	}
}

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

// 100,000 old entries go in calls that each stay within what a Worker may do, and what is young stays.
func TestCleanupOfManyKeys(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	const maxSafe, entries, young = 1<<53 - 1, 100_000, 10
	rev := func(age time.Duration, n int) string {
		return strconv.FormatInt(maxSafe-time.Now().Add(-age).UnixMilli()-int64(n), 36)
	}
	for from := 0; from < entries; from += 10_000 {
		pairs := make([]map[string]string, 10_000)
		for i := range pairs {
			n := from + i
			pairs[i] = map[string]string{"key": fmt.Sprintf("usage:u%d@example.test:%s:%d", n%50, rev(40*24*time.Hour, n), n), "value": "{}"}
		}
		if from == 0 {
			for i := range young {
				pairs[i]["key"] = fmt.Sprintf("usage:u0@example.test:%s:young-%d", rev(24*time.Hour, i), i)
			}
		}
		body, err := json.Marshal(pairs)
		if err != nil {
			t.Fatal(err)
		}
		m.api("PUT", "/accounts/"+m.endpoints().AccountID+"/storage/kv/namespaces/"+m.kv+"/bulk", string(body))
	}
	var deleted, calls int
	for cursor := ""; ; calls++ {
		var a struct {
			Deleted int
			Next    *string `json:"next_cursor"`
		}
		if code := m.call("POST", "/api/admin/cleanup", fmt.Sprintf(`{"kind":"usage","limit":5000,"cursor":%s}`, quoted(cursor)), m.operator(), &a); code != http.StatusOK {
			t.Fatalf("call %d: %d", calls, code)
		}
		deleted += a.Deleted
		if a.Next == nil {
			break
		}
		cursor = *a.Next
	}
	if deleted != entries-young || calls > 150 {
		t.Errorf("%d deleted in %d calls", deleted, calls)
	}
	var left struct{ Scanned, Kept int }
	m.call("POST", "/api/admin/cleanup", `{"dry_run":true}`, m.operator(), &left)
	if left.Scanned != young || left.Kept != young {
		t.Errorf("left: %+v", left)
	}
}

// quoted is a JSON string, or null for none.
func quoted(text string) string {
	if text == "" {
		return "null"
	}
	raw, _ := json.Marshal(text)
	return string(raw)
}

// queue sends messages past usage-svc, as a producer with a defect would.
func (m *money) queue(name string, bodies ...string) {
	m.t.Helper()
	var all struct {
		Result []struct {
			ID   string `json:"queue_id"`
			Name string `json:"queue_name"`
		}
	}
	e := m.endpoints()
	m.look("/accounts/"+e.AccountID+"/queues", &all)
	for _, q := range all.Result {
		if q.Name == name {
			messages := make([]string, len(bodies))
			for i, body := range bodies {
				messages[i] = `{"content_type":"json","body":` + body + `}`
			}
			m.api("POST", "/accounts/"+e.AccountID+"/queues/"+q.ID+"/messages/batch", `{"messages":[`+strings.Join(messages, ",")+`]}`)
			return
		}
	}
	m.t.Fatalf("no queue %s in %+v", name, all)
}

// look reads from the account's API.
func (m *money) look(path string, out any) {
	m.t.Helper()
	e := m.endpoints()
	token, err := e.Token()
	if err != nil {
		m.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, e.APIHTTP+path, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		m.t.Fatal(err)
	}
}

func event(n int, account, amount string) string {
	const form = `{"v":1,"id":"0192f0c1-2f3a-7abc-8def-%012d","kind":"usage","account":%q,"amount":%s,"at_ms":%d,"meta":{"route":"/r","tokens_in":1,"tokens_out":0}}`
	return fmt.Sprintf(form, n, account, amount, time.Now().UnixMilli())
}

// Poison of every kind is kept where a person finds it, without its neighbours, and what is delivered twice adds nothing.
func TestPoisonIsKeptWithoutItsNeighbours(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	const account = "ada@example.test"
	batch := make([]string, 0, 100)
	for n := range 90 {
		batch = append(batch, event(n, account, "50"))
	}
	batch = append(batch, event(0, account, "50"), event(1, account, "51"), // again, and with other content
		event(901, account, "-5"), event(902, account, `"NaN"`), event(903, "system:revenue", "50"), event(904, account, "1e99"), `{"junk":true}`, `null`, `"\u0000"`)
	m.queue("cognomega-usage-events", batch...)
	m.queue("cognomega-usage-events-dlq", event(905, account, "50"), `"anything \ud800 at all"`)
	m.until("all of it settled", func() bool {
		return one[int64](m, "SELECT count(*) FROM ledger.transfer") == 90 && one[int64](m, "SELECT sum(times)::bigint FROM ledger.review") == 8 &&
			one[int64](m, "SELECT count(*) FROM ledger.dead_letter") == 2
	}, func() string {
		return fmt.Sprint(one[int64](m, "SELECT count(*) FROM ledger.transfer"), one[string](m, "SELECT coalesce(json_agg(r)::text, '') FROM ledger.review r"),
			one[int64](m, "SELECT count(*) FROM ledger.dead_letter"))
	})
	m.queue("cognomega-usage-events", batch[:90]...) // lost acknowledgements
	m.queue("cognomega-usage-events", event(1000, account, "50"))
	m.awaitBalance(m.user(account), -0.00455)
	if n := one[int64](m, "SELECT count(*) FROM ledger.transfer"); n != 91 {
		t.Errorf("%d transfers, want 91", n)
	}
	if n := one[int64](m, "SELECT count(*) FROM ledger.drift"); n != 0 {
		t.Errorf("%d lines of drift", n)
	}
}

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
				if code, err := m.send(path, body, who); err != nil || code != want {
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
