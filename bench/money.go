package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
)

const (
	balanceReader = `export default { async fetch(_, env) {
  return new Response(await env.KV_BILLING.get("balance:bench@example.test"), { headers: { "content-type": "application/json" } });
} };`
	readerAccount = "bench@example.test"
	usageQueue    = "cognomega-usage-events"

	batchEvents  = 100
	batchesRound = 100
)

// credits compares the Worker's CPU of a balance through the gateway and billing-svc with that of a bare Worker that reads it from KV.
func credits(ctx context.Context, s *stage, db *pgx.Conn, o options) ([]figure, error) {
	namespace, bearer, err := s.reader(ctx, db)
	if err != nil {
		return nil, err
	}
	binding := `{"type":"kv_namespace","name":"KV_BILLING","namespace_id":"` + namespace + `"}`
	bare, err := s.deploy(ctx, "bench-kv", balanceReader, binding)
	if err != nil {
		return nil, err
	}
	once := load{dial: s.edge, request: get(apiHost, "/api/credits", bearer), connections: 1, requests: 1}
	if _, err := once.run(ctx); err != nil { // fills KV from the ledger
		return nil, err
	}
	loads := map[string]load{
		"bare":    {dial: s.edge, request: get(bare, "/"), connections: connections, requests: o.requests},
		"credits": {dial: s.edge, request: get(apiHost, "/api/credits", bearer), connections: connections, requests: o.requests},
	}
	f := figure{Name: "GET /api/credits from KV", Against: "CPU of a bare Worker with one KV get", Unit: "x", Bound: 2, RawUnits: "ms of workerd CPU a request"}
	for round := range o.rounds + 1 {
		costs, err := s.interleaved(ctx, loads, []string{"bare", "credits"})
		if err != nil {
			return nil, err
		}
		if round == 0 {
			continue
		}
		f.keep("bare", costs["bare"].workerd)
		f.keep("credits", costs["credits"].workerd)
		f.Rounds = append(f.Rounds, costs["credits"].workerd/costs["bare"].workerd)
	}
	return []figure{f}, nil
}

// writer compares the way of usage from the queue to the commit with one connection that posts the same batches straight away.
func writer(ctx context.Context, s *stage, db *pgx.Conn, o options) ([]figure, error) {
	var queues []struct {
		ID   string `json:"queue_id"`
		Name string `json:"queue_name"`
	}
	if err := s.list(ctx, "/queues?per_page=100", &queues); err != nil {
		return nil, err
	}
	queue := ""
	for _, q := range queues {
		if q.Name == usageQueue {
			queue = "/accounts/" + s.endpoints.AccountID + "/queues/" + q.ID
		}
	}
	f := figure{Name: "usage: queue to commit", Against: "one connection posting the same batches", Unit: "x", Bound: 1 / 0.6, RawUnits: "events/s"}
	for round := range o.rounds + 1 {
		straight, err := postStraight(ctx, db)
		if err != nil {
			return nil, err
		}
		through, err := postThrough(ctx, s, db, queue)
		if err != nil {
			return nil, err
		}
		if round == 0 {
			continue
		}
		f.keep("straight", straight)
		f.keep("queue", through)
		f.Rounds = append(f.Rounds, straight/through)
	}
	return []figure{f}, nil
}

type usageEvent struct {
	V       int            `json:"v"`
	ID      string         `json:"id"`
	Kind    string         `json:"kind"`
	Account string         `json:"account"`
	Amount  int            `json:"amount"`
	AtMS    int64          `json:"at_ms"`
	Meta    map[string]any `json:"meta"`
}

// events are uses of as many accounts as the name has numbers for; a name without one is a single account.
func events(account string, n int) []usageEvent {
	list := make([]usageEvent, n)
	for i := range list {
		name := account
		if strings.Contains(account, "%") {
			name = fmt.Sprintf(account, i)
		}
		list[i] = usageEvent{1, uuid.NewString(), "usage", name, 50, time.Now().UnixMilli(), map[string]any{"route": "/bench", "tokens_in": 1, "tokens_out": 0}}
	}
	return list
}

func post(ctx context.Context, db *pgx.Conn, batch []usageEvent) error {
	raw, err := json.Marshal(batch)
	if err != nil {
		return fault.New(fault.Internal, "encode a batch: %w", err)
	}
	if _, err := db.Exec(ctx, "SELECT ledger.post_batch($1::text::json, true)", string(raw)); err != nil {
		return fault.New(fault.Unavailable, "post a batch: %w", err)
	}
	return nil
}

// postStraight is the ceiling, in events a second.
func postStraight(ctx context.Context, db *pgx.Conn) (float64, error) {
	batches := make([][]usageEvent, batchesRound)
	for i := range batches {
		batches[i] = events("bench%d@example.test", batchEvents)
	}
	start := time.Now()
	for _, batch := range batches {
		if err := post(ctx, db, batch); err != nil {
			return 0, err
		}
	}
	return float64(batchesRound*batchEvents) / time.Since(start).Seconds(), nil
}

// postThrough fills the queue while it is paused, lets the writer go, and asks the ledger how long it took from the first commit to
// the last.
func postThrough(ctx context.Context, s *stage, db *pgx.Conn, queue string) (float64, error) {
	if err := s.callJSON(ctx, http.MethodPatch, queue, map[string]any{"settings": map[string]any{"delivery_paused": true}}); err != nil {
		return 0, err
	}
	var mark time.Time
	if err := db.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&mark); err != nil {
		return 0, fault.New(fault.Unavailable, "ask the ledger's clock: %w", err)
	}
	for range batchesRound {
		messages := make([]map[string]any, 0, batchEvents)
		for _, e := range events("bench%d@example.test", batchEvents) {
			messages = append(messages, map[string]any{"content_type": "json", "body": e})
		}
		if err := s.callJSON(ctx, http.MethodPost, queue+"/messages/batch", map[string]any{"messages": messages}); err != nil {
			return 0, err
		}
	}
	if err := s.callJSON(ctx, http.MethodPatch, queue, map[string]any{"settings": map[string]any{"delivery_paused": false}}); err != nil {
		return 0, err
	}
	const progress = "SELECT count(*), coalesce(extract(epoch FROM max(recorded_at) - min(recorded_at)), 0)::float8 FROM ledger.transfer WHERE recorded_at > $1"
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		var n int
		var took float64
		if err := db.QueryRow(ctx, progress, mark).Scan(&n, &took); err != nil {
			return 0, fault.New(fault.Unavailable, "count what is posted: %w", err)
		}
		if n >= batchesRound*batchEvents {
			// Between the first commit and the last lie all batches but one.
			return float64((batchesRound-1)*batchEvents) / took, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return 0, fault.New(fault.Unavailable, "the writer did not post the burst within a minute")
}

// ledger connects to the stage's database.
func (s *stage) ledger(ctx context.Context) (*pgx.Conn, error) {
	url, err := exec.CommandContext(ctx, filepath.Join(s.root, "bin", "cogctl"), "--dir", s.dir, "db", "psql-url").Output()
	if err != nil {
		return nil, fault.New(fault.Unavailable, "ask where the ledger is: %w", err)
	}
	db, err := pgx.Connect(ctx, strings.TrimSpace(string(url)))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "connect to the ledger: %w", err)
	}
	return db, nil
}

// list reads a list of the account.
func (s *stage) list(ctx context.Context, path string, into any) error {
	raw, err := s.call(ctx, http.MethodGet, "/accounts/"+s.endpoints.AccountID+path, "application/json", nil)
	if err != nil {
		return err
	}
	var answer struct{ Result json.RawMessage }
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fault.New(fault.Unavailable, "read %s: %w", path, err)
	}
	if err := json.Unmarshal(answer.Result, into); err != nil {
		return fault.New(fault.Unavailable, "read %s: %w", path, err)
	}
	return nil
}
