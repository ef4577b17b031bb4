package platform_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
