package platform_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cognomega/edge/internal/cfapi"
)

// relay lets this test ask the limiter as orchestrator-svc does.
const relay = `export default { fetch(request, env) {
  return env.LIMITS.fetch("https://limiter/_" + new URL(request.url).pathname.slice(1), { method: "POST", body: request.body });
} };`

const (
	shardBudget = 1_000_000
	shardHold   = 9_000
)

// shards spend the budget of a tenant that several objects keep.
type shards struct {
	*money
	spent atomic.Int64
	calls atomic.Int64
}

// spendThroughKills has a tenant's four objects spend its budget at once while their process is killed twice: all of it is spent, and
// no more.
func (m *money) spendThroughKills() {
	m.t.Helper()
	s := &shards{money: m}
	s.deployRelay()
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for i := 0; shardBudget-s.spent.Load() >= shardHold && i < 20_000; i++ {
				s.one(fmt.Sprintf("call-%d", s.calls.Add(1)), rand.IntN(4))
			}
		})
	}
	for _, share := range []int64{3, 6} {
		m.until("spending", func() bool { return s.spent.Load() > shardBudget*share/10 }, func() string { return fmt.Sprint(s.spent.Load()) })
		pid, _ := m.limiter()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			m.t.Fatal(err)
		}
	}
	done.Wait()
	m.t.Logf("%d of %d spent by %d calls", s.spent.Load(), shardBudget, s.calls.Load())
	if spent := s.spent.Load(); spent > shardBudget || spent <= shardBudget-shardHold {
		m.t.Errorf("%d of %d were spent", spent, shardBudget)
	}
}

func (s *shards) deployRelay() {
	s.t.Helper()
	_, err := s.cf.PutScript(s.t.Context(), "limiter-relay", cfapi.ScriptUpload{
		Modules:    []cfapi.Module{{Name: "relay.js", Type: "application/javascript+module", Content: []byte(relay)}},
		MainModule: "relay.js", CompatibilityDate: "2026-11-01",
		Bindings: []cfapi.Binding{{Name: "LIMITS", Type: "service", Service: "rate-limiter-do"}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	zone := s.endpoints().Zones[0]
	s.api("POST", "/zones/"+zone.ID+"/dns_records", `{"type":"AAAA","name":"limiter.`+zone.Name+`","content":"100::","proxied":true,"ttl":1}`)
	s.api("POST", "/zones/"+zone.ID+"/workers/routes", `{"pattern":"limiter.`+zone.Name+`/*","script":"limiter-relay"}`)
}

// one is one call: what became of it is always said, as often as it takes.
func (s *shards) one(id string, shard int) {
	subject := fmt.Sprintf(`{"name":"shard:%d:tenant:big","allowance":{"rate":{"count":1000000,"periodMs":1000,"burst":1000000},"micro":%d,`+
		`"of":{"lender":"tenant:big","shard":"shard:%d:tenant:big","shards":4}}}`, shard, shardBudget, shard)
	code, said := s.post("admit", fmt.Sprintf(`{"subjects":[%s],"id":%q,"weight":1,"micro":%d}`, subject, id, shardHold))
	cost := int64(0)
	switch {
	case code == http.StatusOK && strings.Contains(said, `"admitted"`):
		cost = 1 + rand.Int64N(shardHold)
	case code == http.StatusOK && strings.Contains(said, `"budget"`):
		return
	}
	for range 2_000 {
		if code, _ := s.post("settle", fmt.Sprintf(`{"subjects":[%s],"id":%q,"micro":%d}`, subject, id, cost)); code == http.StatusNoContent {
			s.spent.Add(cost)
			return
		}
	}
	s.t.Errorf("%s cannot be settled", id)
}

func (s *shards) post(what, body string) (int, string) {
	url := "https://limiter." + s.endpoints().Zones[0].Name + "/" + what
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	res, err := s.http.Do(req)
	if err != nil {
		return 0, err.Error() // the process is gone
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(raw)
}
