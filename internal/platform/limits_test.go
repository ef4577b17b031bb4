package platform_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// standing is what the limiter says of a caller.
type standing struct {
	Budget struct {
		Spent float64 `json:"spent_credits"`
		Held  float64 `json:"held_credits"`
		Holds int     `json:"holds"`
		Left  float64 `json:"left_credits"`
	}
	Ledger *float64 `json:"ledger_credits"`
}

func (m *money) standing(caller string) (s standing) {
	m.t.Helper()
	if code := m.call("GET", "/api/admin/limits?caller="+caller, "", m.operator(), &s); code != http.StatusOK {
		m.t.Fatalf("limits of %s: %d", caller, code)
	}
	return s
}

// limiter is the process that keeps the limiters.
func (m *money) limiter() (pid, restarts int) {
	m.t.Helper()
	if pid, restarts = m.serving("rate-limiter-do"); pid == 0 {
		m.t.Fatal("no process keeps the limiters")
	}
	return pid, restarts
}

// serving is the process of a Worker, 0 while there is none.
func (m *money) serving(script string) (pid, restarts int) {
	m.t.Helper()
	var status struct {
		Processes []struct {
			PID, Restarts int
			Scripts       []string
		}
	}
	m.must(0, &status, "local", "status")
	for _, p := range status.Processes {
		if slices.Contains(p.Scripts, script) {
			return p.PID, p.Restarts
		}
	}
	return 0, 0
}

// Between the reservation of a question and its settlement the limiter is killed, deployed again, and stopped with all of the platform:
// what is held stays held, what it cost in the end is counted once, and the ledger says the same.
func TestABudgetOutlivesAKillAndADeployment(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	const ada = "ada@example.test"
	m.must(0, nil, "local", "faults", "set", "groq", "--stall", "1", "--after", "4")
	res := m.ask(t.Context(), with(m.user(ada), "Accept", "text/event-stream"), "a question that takes its time")
	defer res.Body.Close()
	if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	before := m.standing(ada).Budget
	if before.Holds != 1 || before.Held == 0 || before.Spent != 0 {
		t.Fatalf("under way: %+v", before)
	}
	pid, _ := m.limiter()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.until("limiter that was killed", func() bool { now, _ := m.serving("rate-limiter-do"); return now != 0 && now != pid }, func() string { return "killed" })
	if got := m.standing(ada).Budget; got != before {
		t.Errorf("after a kill: %+v, want %+v", got, before)
	}
	pid, _ = m.limiter()
	if err := m.cf.PatchSecrets(t.Context(), "rate-limiter-do", map[string]string{"UNUSED": "deploys another version"}); err != nil {
		t.Fatal(err)
	}
	m.until("version that is new", func() bool { now, _ := m.serving("rate-limiter-do"); return now != 0 && now != pid }, func() string { return "deployed" })
	if got := m.standing(ada).Budget; got != before {
		t.Errorf("after a deployment: %+v, want %+v", got, before)
	}
	_ = res.Body.Close() // the caller goes away, and pays for what was generated
	amount, _ := m.awaitCharge(ada, "model")
	m.until("settlement", func() bool { return m.standing(ada).Budget.Holds == 0 }, func() string { return fmt.Sprint(m.standing(ada)) })
	if got := m.standing(ada); got.Budget.Spent != float64(amount)/1e6 || got.Ledger == nil || *got.Ledger != got.Budget.Spent {
		t.Errorf("settled: %+v, and charged %d", got, amount)
	}
	m.spendThroughKills()
}

// An account that spent where its limiter did not see it begins with what the ledger has of today.
func TestABudgetBeginsWithWhatTheLedgerHas(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	const bob = "bob@example.test"
	if code := m.call("POST", "/api/billing/usage", `{"route":"/api/si/ask","tokens_in":60000,"tokens_out":40000}`, m.user(bob), nil); code != http.StatusAccepted {
		t.Fatalf("usage: %d", code)
	}
	m.awaitCharge(bob, "route")
	header, _ := m.asked(m.user(bob), "what is left")
	m.until("settlement", func() bool { return m.standing(bob).Budget.Holds == 0 }, func() string { return fmt.Sprint(m.standing(bob)) })
	if got := m.standing(bob).Budget.Spent; got < 5 || got > 5.1 {
		t.Errorf("%s was spent by the answer, 5 before it, and the limiter says %v", header.Get("X-Credits-Used"), got)
	}
}

// Ten thousand questions of a few accounts at once, through the edge and real models' doubles: what is spent is never over a budget, and
// a budget is spent to its end.
func TestTenThousandQuestionsSpendNoMoreThanTheirBudgets(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("ten thousand questions")
	}
	m := newMoney(t)
	const accounts, questions, credits = 4, 10_000, 0.5
	var answered, refused, other atomic.Int64
	next := make(chan header)
	var done sync.WaitGroup
	for range 32 {
		done.Go(func() {
			for who := range next {
				switch status := m.tryAsk(who); status {
				case http.StatusOK:
					answered.Add(1)
				case http.StatusTooManyRequests:
					refused.Add(1)
				default:
					other.Add(1)
				}
			}
		})
	}
	var callers []header
	for i := range accounts {
		name := fmt.Sprintf("many%d@example.test", i)
		body := fmt.Sprintf(`{"caller":%q,"rate":{"count":1000000,"period_ms":1000,"burst":1000000},"credits_a_day":%v,"reason":"test"}`, name, credits)
		if code := m.call("PUT", "/api/admin/limits", body, m.operator(), nil); code != http.StatusOK {
			t.Fatalf("set: %d", code)
		}
		callers = append(callers, m.user(name))
	}
	for i := range questions {
		next <- callers[i%accounts]
	}
	close(next)
	done.Wait()
	t.Logf("%d answered, %d refused, %d other", answered.Load(), refused.Load(), other.Load())
	if answered.Load() == 0 || refused.Load() == 0 || other.Load() > 0 || answered.Load()+refused.Load() != questions {
		t.Errorf("%d answered, %d refused, %d other of %d", answered.Load(), refused.Load(), other.Load(), questions)
	}
	for i := range accounts {
		name := fmt.Sprintf("many%d@example.test", i)
		m.until("settlements of "+name, func() bool { return m.standing(name).Budget.Holds == 0 }, func() string { return fmt.Sprint(m.standing(name)) })
		m.until("charges of "+name, func() bool { s := m.standing(name); return s.Ledger != nil && *s.Ledger >= s.Budget.Spent }, func() string { return fmt.Sprint(m.standing(name)) })
		s := m.standing(name)
		// A question may cost its 1,024 tokens of answer and its bytes; less than that is left.
		if s.Budget.Spent > credits || *s.Ledger != s.Budget.Spent || s.Budget.Left > 0.08 {
			t.Errorf("%s: %+v, in the ledger %v", name, s.Budget, *s.Ledger)
		}
	}
}

func (m *money) tryAsk(who header) int {
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, m.edge+"/api/si/ask", strings.NewReader(`{"skill":"explain","input":"one of many"}`))
	if err != nil {
		return 0
	}
	for name, value := range who {
		req.Header.Set(name, value)
	}
	res, err := m.http.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}
