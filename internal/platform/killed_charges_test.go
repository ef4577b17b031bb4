package platform_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reply is an answer that its caller has.
type reply struct {
	request string
	at      time.Time
}

// kill -9 of the process that answers: a charge is gathered for a quarter of a second before the queue has it. What was answered a second
// before that, or after it, is charged; nothing is charged twice, and nothing that nobody was answered.
func TestAKillLosesNoMoreThanAMomentOfCharges(t *testing.T) {
	t.Parallel()
	const ada, lost = "ada@example.test", time.Second
	m := newMoney(t)
	limits := fmt.Sprintf(`{"caller":%q,"rate":{"count":1000000,"period_ms":1000,"burst":1000000},"credits_a_day":1000,"reason":"test"}`, ada)
	if code := m.call("PUT", "/api/admin/limits", limits, m.operator(), nil); code != http.StatusOK {
		t.Fatalf("set: %d", code)
	}
	who := m.user(ada)
	pid, _ := m.serving("orchestrator-svc")
	before := m.replies(who, 2*lost)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	m.until("process in the killed one's place", func() bool { now, _ := m.serving("orchestrator-svc"); return now != 0 && now != pid }, func() string { return "none" })
	after := m.replies(who, lost/2)
	var due []string
	for _, r := range slices.Concat(before, after) {
		if r.at.Before(killed.Add(-lost)) || r.at.After(killed) {
			due = append(due, r.request)
		}
	}
	if len(due) < 10 || len(due) == len(before)+len(after) {
		t.Fatalf("%d of %d and %d answers were given a while before the kill or after it", len(due), len(before), len(after))
	}
	const charged = "SELECT coalesce(array_agg(t.meta->>'request_id'), '{}') FROM ledger.transfer t JOIN ledger.account a ON a.id = t.debit_id WHERE a.ref = $1"
	var got []string
	missing := func(r string) bool { return !slices.Contains(got, r) }
	m.until("charge of each answer", func() bool { got = one[[]string](m, charged, ada); return !slices.ContainsFunc(due, missing) }, func() string {
		return fmt.Sprintf("%d of %d", len(got), len(due))
	})
	m.must(0, nil, "queues", "drain", "usage-events")
	got = one[[]string](m, charged, ada)
	all := slices.Concat(before, after)
	for _, request := range got {
		if !slices.ContainsFunc(all, func(r reply) bool { return r.request == request }) {
			t.Errorf("%s was charged, and nobody has its answer", request)
		}
	}
	if slices.Sort(got); len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("an answer was charged twice: %q", got)
	}
	t.Logf("%d answers, %d charged", len(all), len(got)) // usually fewer: the kill follows the last answer at once
	if s := m.standing(ada); s.Ledger == nil || s.Budget.Spent+s.Budget.Held < *s.Ledger {
		t.Errorf("the budget counts less than the ledger: %+v, %v", s.Budget, s.Ledger)
	}
}

// replies asks one question after the other for so long, and then until one was answered.
func (m *money) replies(who header, during time.Duration) (all []reply) {
	m.t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end) || len(all) == 0; {
		if r, err := m.replied(who); err == nil {
			all = append(all, r)
		}
	}
	return all
}

func (m *money) replied(who header) (reply, error) {
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, m.edge+"/api/si/ask", strings.NewReader(`{"skill":"explain","input":"one of many"}`))
	if err != nil {
		return reply{}, err
	}
	for name, value := range who {
		req.Header.Set(name, value)
	}
	res, err := m.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return reply{res.Header.Get("X-Request-Id"), time.Now()}, errors.Join(err, res.Body.Close())
}
