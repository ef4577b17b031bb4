package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

// sendMessages sends JSON values to a queue: send QUEUE body...
func sendMessages(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: send QUEUE body...")
	}
	api, err := cfapi.New(cfapi.Config{BaseURL: ts.Getenv("API"), Token: token, AccountID: account})
	ts.Check(err)
	ts.Check(sendTo(context.Background(), api, args[0], args[1:]...))
}

func sendTo(ctx context.Context, api *cfapi.Client, queue string, bodies ...string) error {
	all, err := api.QueueStates(ctx)
	if err != nil {
		return err
	}
	for _, q := range all {
		if q.Name == queue {
			var raw []json.RawMessage
			for _, b := range bodies {
				raw = append(raw, json.RawMessage(b))
			}
			return api.SendMessages(ctx, q.ID, raw)
		}
	}
	return errors.New("no queue " + queue)
}

// queueBench is cogctl before an account with one queue that is pulled from, and 5 messages in it.
func queueBench(t *testing.T, fake term.Fake) (b *bench, api *cfapi.Client, id string) {
	t.Helper()
	b = newBench(t, fake)
	target, err := b.deps.Target(t.Context(), "production")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := target.API.CF().Raw(t.Context(), http.MethodPost, "/accounts/"+account+"/queues", map[string]string{"queue_name": "jobs"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		ID string `json:"queue_id"`
	}
	if err := json.Unmarshal(raw.Result, &made); err != nil {
		t.Fatal(err)
	}
	if _, err := target.API.CreateConsumer(t.Context(), made.ID, cfapi.Consumer{Type: "http_pull"}); err != nil {
		t.Fatal(err)
	}
	if err := sendTo(t.Context(), target.API, "jobs", "1", "2", "3", "4", "5"); err != nil {
		t.Fatal(err)
	}
	return b, target.API, made.ID
}

// takeOne is a consumer that takes a message.
func takeOne(t *testing.T, api *cfapi.Client, queue string) {
	t.Helper()
	pulled, err := api.PullMessages(t.Context(), queue, 1, time.Minute)
	if err == nil && len(pulled) == 1 {
		_, _, err = api.SettleMessages(t.Context(), queue, []string{pulled[0].LeaseID}, nil)
	}
	if err != nil || len(pulled) != 1 {
		t.Errorf("took %d, %v", len(pulled), err)
	}
}

// TestDrainWaitsUntilItIsEmpty lets a consumer take everything between two readings of the backlog, which the clock counts.
func TestDrainWaitsUntilItIsEmpty(t *testing.T) {
	t.Parallel()
	b, api, id := queueBench(t, term.Fake{})
	readings, began := 0, time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	b.deps.Now = func() time.Time {
		if readings++; readings == 2 {
			for range 5 {
				takeOne(t, api, id)
			}
		}
		return began.Add(time.Duration(readings) * time.Second)
	}
	code := b.run("queues", "drain", "jobs", "-o", "json")
	var got struct {
		Empty         bool
		Started, Left int64
		MessagesStart int64 `json:"messages_at_start"`
	}
	if err := json.Unmarshal(b.out.Bytes(), &got); err != nil || code != fault.ExitOK || !got.Empty || got.MessagesStart != 5 {
		t.Errorf("exit %d, %+v: %s%s", code, got, b.out, b.err)
	}
}

// TestPeekGivesBack sees what was looked at available again at once, with one more attempt.
func TestPeekGivesBack(t *testing.T) {
	t.Parallel()
	b, api, id := queueBench(t, term.Fake{})
	if code := b.run("queues", "peek", "jobs", "-n", "5"); code != fault.ExitOK || !strings.Contains(b.out.String(), "5 of 5 given back") {
		t.Fatalf("exit %d: %s%s", code, b.out, b.err)
	}
	pulled, err := api.PullMessages(t.Context(), id, 10, time.Minute)
	if err != nil || len(pulled) != 5 || pulled[0].Attempts != 2 {
		t.Errorf("%d messages, %v", len(pulled), err)
	}
	for _, m := range pulled {
		if raw, ok := m.JSON(); !ok || len(raw) != 1 {
			t.Errorf("body %q", m.Body)
		}
	}
}
