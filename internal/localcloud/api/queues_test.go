package api_test

import (
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

const consuming = `export default { async fetch() {}, async queue(batch) {} };`

func newQueue(t *testing.T, b *apitest.Bed, name string) string {
	t.Helper()
	var q struct {
		ID string `json:"queue_id"`
	}
	a := b.Account(t, "POST", "/queues", object{"queue_name": name})
	want(t, "create queue "+name, a, 200, 0)
	a.Into(t, &q)
	return "/queues/" + q.ID
}

func TestQueuesInBothFamilies(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	byID := newQueue(t, b, "jobs")
	want(t, "by name", b.Account(t, "GET", "/workers/queues/jobs", nil), 200, 0)
	want(t, "a name is no id", b.Account(t, "GET", "/queues/jobs", nil), 404, 11000)
	want(t, "bad name", b.Account(t, "POST", "/queues", object{"queue_name": "No Good"}), 400, 11003)
	want(t, "taken", b.Account(t, "POST", "/workers/queues", object{"queue_name": "jobs"}), 409, 11009)
	want(t, "long retention", b.Account(t, "PATCH", byID, object{"settings": object{"message_retention_period": 99999999}}), 400, 10026)
	paused := b.Account(t, "PATCH", byID, object{"settings": object{"delivery_paused": true}})
	if !strings.Contains(string(paused.Result), `"delivery_paused":true`) || !strings.Contains(string(paused.Result), `"queue_name":"jobs"`) {
		t.Errorf("paused %s", paused.Result)
	}
	newQueue(t, b, "other")
	if got := b.Account(t, "GET", "/queues?name=jobs&name=none", nil); strings.Count(string(got.Result), `"queue_id":"`) != 1 {
		t.Errorf("by ?name= %s", got.Result)
	}
	deployed(t, b, "sender", hello, object{"bindings": []object{{"type": "queue", "name": "Q", "queue_name": "jobs"}}})
	if got := b.Account(t, "GET", byID, nil); !strings.Contains(string(got.Result), `"producers_total_count":1`) {
		t.Errorf("producers %s", got.Result)
	}
	want(t, "rename", b.Account(t, "PUT", "/workers/queues/other", object{"queue_name": "renamed"}), 200, 0)
	want(t, "delete by name", b.Account(t, "DELETE", "/workers/queues/renamed", nil), 200, 0)
	want(t, "gone", b.Account(t, "GET", "/workers/queues/renamed", nil), 404, 11000)
}

func TestConsumers(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	q := newQueue(t, b, "jobs")
	deployed(t, b, "deaf", hello, nil)
	deployed(t, b, "eats", consuming, nil)
	worker := func(script string, settings object) object {
		return object{"type": "worker", "script_name": script, "settings": settings, "dead_letter_queue": "dead"}
	}
	want(t, "no handler", b.Account(t, "POST", q+"/consumers", worker("deaf", nil)), 400, 11001)
	want(t, "no script", b.Account(t, "POST", q+"/consumers", worker("none", nil)), 404, 10007)
	want(t, "no type", b.Account(t, "POST", q+"/consumers", object{"type": "pigeon"}), 400, 10026)
	for setting, value := range map[string]int{"batch_size": 101, "max_retries": 101, "max_wait_time_ms": 60001, "max_concurrency": 251, "retry_delay": 86401} {
		want(t, setting, b.Account(t, "POST", q+"/consumers", worker("eats", object{setting: value})), 400, 10026)
	}
	want(t, "attach", b.Account(t, "POST", q+"/consumers", worker("eats", object{"max_retries": 0})), 200, 0)
	want(t, "the dead letter queue is there", b.Account(t, "GET", "/workers/queues/dead", nil), 200, 0)
	want(t, "second", b.Account(t, "POST", q+"/consumers", worker("eats", nil)), 409, 11004)
	want(t, "delete the script", b.Account(t, "DELETE", "/workers/scripts/eats", nil), 409, 10064)
	update := b.Account(t, "PUT", "/workers/queues/jobs/consumers/eats", worker("eats", object{"batch_size": 5}))
	if !strings.Contains(string(update.Result), `"batch_size":5`) || !strings.Contains(string(update.Result), `"service":"eats"`) {
		t.Errorf("update by name %s", update.Result)
	}
	want(t, "delete by name", b.Account(t, "DELETE", "/workers/queues/jobs/consumers/eats", nil), 200, 0)
	want(t, "delete again", b.Account(t, "DELETE", "/workers/queues/jobs/consumers/eats", nil), 404, 11006)
	want(t, "attach again", b.Account(t, "POST", q+"/consumers", worker("eats", nil)), 200, 0)
	want(t, "force", b.Account(t, "DELETE", "/workers/services/eats?force=true", nil), 200, 0)
	if got := b.Account(t, "GET", q+"/consumers", nil); string(got.Result) != "[]" {
		t.Errorf("a deleted script still consumes: %s", got.Result)
	}
}

type pull struct {
	Backlog  int `json:"message_backlog_count"`
	Messages []struct {
		Body     string            `json:"body"`
		LeaseID  string            `json:"lease_id"`
		Attempts int               `json:"attempts"`
		Metadata map[string]string `json:"metadata"`
	} `json:"messages"`
}

func TestPull(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	q := newQueue(t, b, "jobs")
	take := func() (p pull) {
		t.Helper()
		a := b.Account(t, "POST", q+"/messages/pull", object{"batch_size": 10, "visibility_timeout_ms": 60000})
		want(t, "pull", a, 200, 0)
		a.Into(t, &p)
		return p
	}
	want(t, "without a pull consumer", b.Account(t, "POST", q+"/messages/pull", object{}), 400, 10207)
	want(t, "attach", b.Account(t, "POST", q+"/consumers", object{"type": "http_pull", "settings": object{"max_retries": 1}, "dead_letter_queue": "dead"}), 200, 0)
	want(t, "no body", b.Account(t, "POST", q+"/messages", object{}), 400, 10207)
	want(t, "big", b.Account(t, "POST", q+"/messages", object{"body": strings.Repeat("x", 128_001)}), 413, 10207)
	want(t, "bad kind", b.Account(t, "POST", q+"/messages", object{"body": "x", "content_type": "v8"}), 400, 10207)
	want(t, "long delay", b.Account(t, "POST", q+"/messages", object{"body": "x", "delay_seconds": 86401}), 400, 10207)
	want(t, "push", b.Account(t, "POST", q+"/messages", object{"body": "text", "content_type": "text"}), 200, 0)
	want(t, "batch", b.Account(t, "POST", q+"/messages/batch", object{"messages": []object{{"body": object{"n": 1}}}}), 200, 0)
	var depth struct {
		Count int `json:"backlog_count"`
		Bytes int `json:"backlog_bytes"`
	}
	b.Account(t, "GET", q+"/metrics", nil).Into(t, &depth)
	if depth.Count != 2 || depth.Bytes != len("text")+len(`{"n":1}`) {
		t.Errorf("metrics %+v", depth)
	}
	first := take()
	if len(first.Messages) != 2 || first.Messages[0].Body != "text" || first.Messages[1].Body != "eyJuIjoxfQ==" || first.Messages[1].Metadata["CF-Content-Type"] != "json" {
		t.Fatalf("pulled %+v", first)
	}
	if again := take(); len(again.Messages) != 0 {
		t.Errorf("leased messages are given twice: %+v", again)
	}
	ack := b.Account(t, "POST", q+"/messages/ack", object{"acks": []object{{"lease_id": first.Messages[0].LeaseID}, {"lease_id": "none"}}, "retries": []object{{"lease_id": first.Messages[1].LeaseID}}})
	if !strings.Contains(string(ack.Result), `"ackCount":1`) || !strings.Contains(string(ack.Result), `"retryCount":1`) || !strings.Contains(string(ack.Result), "none") {
		t.Errorf("ack %s", ack.Result)
	}
	second := take()
	if len(second.Messages) != 1 || second.Messages[0].Attempts != 2 {
		t.Fatalf("second delivery %+v", second)
	}
	want(t, "retry", b.Account(t, "POST", q+"/messages/ack", object{"retries": []object{{"lease_id": second.Messages[0].LeaseID}}}), 200, 0)
	if third := take(); len(third.Messages) != 0 || third.Backlog != 0 {
		t.Errorf("tried twice with one retry, and still here: %+v", third)
	}
	var dead struct {
		ID string `json:"queue_id"`
	}
	b.Account(t, "GET", "/workers/queues/dead", nil).Into(t, &dead)
	b.Account(t, "GET", "/queues/"+dead.ID+"/metrics", nil).Into(t, &depth)
	if depth.Count != 1 {
		t.Errorf("the dead letter queue holds %d messages, want 1", depth.Count)
	}
	want(t, "purge unsure", b.Account(t, "POST", "/queues/"+dead.ID+"/purge", object{}), 400, 10026)
	want(t, "purge", b.Account(t, "POST", "/queues/"+dead.ID+"/purge", object{"delete_messages_permanently": true}), 200, 0)
	b.Account(t, "GET", "/queues/"+dead.ID+"/metrics", nil).Into(t, &depth)
	if depth.Count != 0 {
		t.Errorf("%d messages after the purge", depth.Count)
	}
}
