package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cloudflare/cloudflare-go"
)

func TestKV(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	made := must(b.CreateWorkersKVNamespace(ctx, b.account, cloudflare.CreateWorkersKVNamespaceParams{Title: b.name}))(t, "create namespace").Result
	b.cleanup(t, "delete namespace", func(ctx context.Context) error {
		_, err := b.DeleteWorkersKVNamespace(ctx, b.account, made.ID)
		return err
	})
	_, err := b.CreateWorkersKVNamespace(ctx, b.account, cloudflare.CreateWorkersKVNamespaceParams{Title: b.name})
	wantCode(t, "create it again", err, 10014)
	all, _, err := b.ListWorkersKVNamespaces(ctx, b.account, cloudflare.ListWorkersKVNamespacesParams{})
	ok(t, "list namespaces", err)
	if len(all) == 0 {
		t.Error("no namespaces listed")
	}
	_ = must(b.UpdateWorkersKVNamespace(ctx, b.account, cloudflare.UpdateWorkersKVNamespaceParams{NamespaceID: made.ID, Title: b.name + "-2"}))(t, "rename")
	for _, key := range []string{"plain", "with/slash", "with space and ünïcode", "percent%2Fsign", "question?mark#hash"} {
		_ = must(b.WriteWorkersKVEntry(ctx, b.account, cloudflare.WriteWorkersKVEntryParams{NamespaceID: made.ID, Key: key, Value: []byte("\x00value of " + key)}))(t, "write "+key)
		b.eventually(t, "read "+key, func() error {
			value, err := b.GetWorkersKV(ctx, b.account, cloudflare.GetWorkersKVParams{NamespaceID: made.ID, Key: key})
			if err == nil && string(value) != "\x00value of "+key {
				err = fmt.Errorf("value %q", value)
			}
			return err
		})
	}
	var pairs []*cloudflare.WorkersKVPair
	for i := range 25 {
		pairs = append(pairs, &cloudflare.WorkersKVPair{Key: fmt.Sprintf("bulk-%02d", i), Value: "v", Metadata: map[string]int{"n": i}})
	}
	_ = must(b.WriteWorkersKVEntries(ctx, b.account, cloudflare.WriteWorkersKVEntriesParams{NamespaceID: made.ID, KVs: pairs}))(t, "bulk write")
	b.eventually(t, "page through the keys", func() error { return b.pageKeys(ctx, made.ID) })
	_ = must(b.DeleteWorkersKVEntries(ctx, b.account, cloudflare.DeleteWorkersKVEntriesParams{NamespaceID: made.ID, Keys: []string{"bulk-00", "bulk-01"}}))(t, "bulk delete")
	_ = must(b.DeleteWorkersKVEntry(ctx, b.account, cloudflare.DeleteWorkersKVEntryParams{NamespaceID: made.ID, Key: "with/slash"}))(t, "delete")
	_, err = b.GetWorkersKV(ctx, b.account, cloudflare.GetWorkersKVParams{NamespaceID: made.ID, Key: "never-written"})
	wantCode(t, "read no key", err, 10009)
}

func (b *bed) pageKeys(ctx context.Context, namespace string) error {
	seen, cursor := map[string]bool{}, ""
	for {
		page, err := b.ListWorkersKVKeys(ctx, b.account, cloudflare.ListWorkersKVsParams{NamespaceID: namespace, Limit: 10, Prefix: "bulk-", Cursor: cursor})
		if err != nil {
			return err
		}
		for _, k := range page.Result {
			seen[k.Name] = true
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	if len(seen) != 25 {
		return fmt.Errorf("saw %d keys of 25", len(seen))
	}
	return nil
}

func TestR2(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	_ = must(b.CreateR2Bucket(ctx, b.account, cloudflare.CreateR2BucketParameters{Name: b.name}))(t, "create bucket")
	b.cleanup(t, "delete bucket", func(ctx context.Context) error { return b.DeleteR2Bucket(ctx, b.account, b.name) })
	_, err := b.CreateR2Bucket(ctx, b.account, cloudflare.CreateR2BucketParameters{Name: b.name})
	wantCode(t, "create it again", err, 10004)
	_, err = b.CreateR2Bucket(ctx, b.account, cloudflare.CreateR2BucketParameters{Name: "Not_A_Name"})
	wantCode(t, "invalid name", err, 10005)
	listed := must(b.ListR2Buckets(ctx, b.account, cloudflare.ListR2BucketsParams{Name: b.name}))(t, "list buckets")
	if len(listed) != 1 || listed[0].Name != b.name {
		t.Errorf("listed %+v", listed)
	}
	path := "/accounts/" + b.AccountID + "/r2/buckets/" + b.name
	var lifecycle struct {
		Rules []map[string]any `json:"rules"`
	}
	b.raw(t, http.MethodGet, path+"/lifecycle", nil, &lifecycle)
	if len(lifecycle.Rules) != 1 || lifecycle.Rules[0]["id"] != "Default Multipart Abort Rule" {
		t.Errorf("lifecycle of a new bucket %+v", lifecycle.Rules)
	}
	rule := map[string]any{"id": "expire", "enabled": true, "conditions": map[string]string{"prefix": "tmp/"},
		"deleteObjectsTransition": map[string]any{"condition": map[string]any{"type": "Age", "maxAge": 86400}}}
	b.raw(t, http.MethodPut, path+"/lifecycle", map[string]any{"rules": []any{rule}}, nil)
	lifecycle.Rules = nil
	b.raw(t, http.MethodGet, path+"/lifecycle", nil, &lifecycle)
	if len(lifecycle.Rules) != 1 || lifecycle.Rules[0]["id"] != "expire" {
		t.Errorf("a PUT replaces all rules, got %+v", lifecycle.Rules)
	}
	_, err = b.Raw(ctx, http.MethodGet, path+"/cors", nil, nil)
	wantCode(t, "no CORS yet", err, 10059)
	ok(t, "delete bucket", b.DeleteR2Bucket(ctx, b.account, b.name))
	_, err = b.GetR2Bucket(ctx, b.account, b.name)
	wantCode(t, "get a deleted bucket", err, 10006)
}

const consumerSource = `export default { async fetch() { return new Response("x"); }, async queue(batch) {} };`

func TestQueues(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	made := must(b.CreateQueue(ctx, b.account, cloudflare.CreateQueueParams{Name: b.name}))(t, "create queue")
	b.cleanup(t, "delete queue", func(ctx context.Context) error { return b.DeleteQueue(ctx, b.account, b.name) })
	_, err := b.CreateQueue(ctx, b.account, cloudflare.CreateQueueParams{Name: b.name})
	wantCode(t, "create it again", err, 11009)
	if got := must(b.GetQueue(ctx, b.account, b.name))(t, "get by name"); got.ID != made.ID {
		t.Errorf("got %+v", got)
	}
	queues, _, err := b.ListQueues(ctx, b.account, cloudflare.ListQueuesParams{})
	ok(t, "list queues", err)
	if len(queues) == 0 {
		t.Error("no queues listed")
	}
	deaf := b.upload(t, hello, nil)
	_, err = b.CreateQueueConsumer(ctx, b.account, cloudflare.CreateQueueConsumerParams{QueueName: b.name, Consumer: cloudflare.QueueConsumer{ScriptName: deaf}})
	wantCode(t, "a script without a queue handler", err, 11001)
	script := b.upload(t, consumerSource, nil)
	byID := "/accounts/" + b.AccountID + "/queues/" + made.ID + "/consumers"
	var consumer struct {
		ID       string         `json:"consumer_id"`
		Script   string         `json:"script_name"`
		Settings map[string]any `json:"settings"`
	}
	b.raw(t, http.MethodPost, byID, map[string]any{"type": "worker", "script_name": script, "settings": map[string]any{"batch_size": 7, "max_concurrency": 2}}, &consumer)
	_, err = b.Raw(ctx, http.MethodPost, byID, map[string]any{"type": "worker", "script_name": script}, nil)
	wantCode(t, "a second consumer", err, 11004)
	listed, _, err := b.ListQueueConsumers(ctx, b.account, cloudflare.ListQueueConsumersParams{QueueName: b.name})
	ok(t, "list consumers by name", err)
	if len(listed) != 1 || listed[0].Settings.BatchSize != 7 {
		t.Errorf("consumers by name %+v", listed)
	}
	err = b.DeleteWorker(ctx, b.account, cloudflare.DeleteWorkerParams{ScriptName: script})
	wantCode(t, "delete a consuming script", err, 10064)
	b.raw(t, http.MethodPut, byID+"/"+consumer.ID, map[string]any{"type": "worker", "script_name": script, "settings": map[string]any{"batch_size": 9}}, &consumer)
	if consumer.Settings["batch_size"] != 9.0 {
		t.Errorf("updated consumer %+v", consumer)
	}
	b.raw(t, http.MethodDelete, byID+"/"+consumer.ID, nil, nil)
	pullFrom(t, b, made.ID)
}

// pullFrom sends to a queue over HTTP and takes it out again.
func pullFrom(t *testing.T, b *bed, id string) {
	t.Helper()
	path := "/accounts/" + b.AccountID + "/queues/" + id
	b.raw(t, http.MethodPost, path+"/consumers", map[string]any{"type": "http_pull"}, nil)
	b.raw(t, http.MethodPost, path+"/messages", map[string]any{"body": "first", "content_type": "text"}, nil)
	b.raw(t, http.MethodPost, path+"/messages/batch", map[string]any{"messages": []any{map[string]any{"body": map[string]int{"n": 2}}}}, nil)
	acked := 0
	b.eventually(t, "pull and acknowledge both", func() error {
		pulled, err := b.Raw(t.Context(), http.MethodPost, path+"/messages/pull", map[string]any{"batch_size": 10, "visibility_timeout_ms": 30000}, nil)
		if err != nil {
			return err
		}
		var batch struct {
			Messages []struct {
				LeaseID string `json:"lease_id"`
			} `json:"messages"`
		}
		if err := json.Unmarshal(pulled.Result, &batch); err != nil {
			return err
		}
		for _, m := range batch.Messages {
			var ack struct {
				Acked int `json:"ackCount"`
			}
			b.raw(t, http.MethodPost, path+"/messages/ack", map[string]any{"acks": []any{map[string]string{"lease_id": m.LeaseID}}}, &ack)
			acked += ack.Acked
		}
		if acked != 2 {
			return fmt.Errorf("%d of 2 acknowledged", acked)
		}
		return nil
	})
	givenBack(t, b, path)
	pausedPull(t, b, path)
}

// givenBack leases a message and retries it: it is there again at once, with one more attempt.
func givenBack(t *testing.T, b *bed, path string) {
	t.Helper()
	b.raw(t, http.MethodPost, path+"/messages", map[string]any{"body": "again", "content_type": "text"}, nil)
	for _, attempts := range []int{1, 2} {
		b.eventually(t, "pull and give back", func() error {
			pulled, err := b.Raw(t.Context(), http.MethodPost, path+"/messages/pull", map[string]any{"batch_size": 10, "visibility_timeout_ms": 30000}, nil)
			if err != nil {
				return err
			}
			var batch struct {
				Messages []struct {
					LeaseID  string `json:"lease_id"`
					Attempts int    `json:"attempts"`
				} `json:"messages"`
			}
			if err := json.Unmarshal(pulled.Result, &batch); err != nil {
				return err
			}
			if len(batch.Messages) != 1 {
				return fmt.Errorf("%d messages", len(batch.Messages))
			}
			if got := batch.Messages[0].Attempts; got != attempts {
				t.Errorf("attempt %d, want %d", got, attempts)
			}
			var back struct {
				Retried int `json:"retryCount"`
			}
			b.raw(t, http.MethodPost, path+"/messages/ack", map[string]any{"retries": []any{map[string]any{"lease_id": batch.Messages[0].LeaseID, "delay_seconds": 0}}}, &back)
			if back.Retried != 1 {
				t.Errorf("%d given back", back.Retried)
			}
			return nil
		})
	}
}

// pausedPull finds a paused queue closed to pulls and open to sends, and its backlog counted.
func pausedPull(t *testing.T, b *bed, path string) {
	t.Helper()
	var q struct {
		Settings struct {
			Paused bool `json:"delivery_paused"`
		} `json:"settings"`
	}
	b.raw(t, http.MethodPatch, path, map[string]any{"settings": map[string]bool{"delivery_paused": true}}, &q)
	if !q.Settings.Paused {
		t.Error("not paused")
	}
	b.raw(t, http.MethodPost, path+"/messages", map[string]any{"body": "kept", "content_type": "text"}, nil)
	b.eventually(t, "a paused queue refuses pulls", func() error {
		_, err := b.Raw(t.Context(), http.MethodPost, path+"/messages/pull", map[string]any{"batch_size": 10}, nil)
		if err == nil {
			return errors.New("it gave messages")
		}
		if !strings.Contains(err.Error(), "queue_delivery_paused") {
			t.Errorf("refused with %v", err)
		}
		return nil
	})
	b.eventually(t, "the backlog is counted", func() error {
		var m struct {
			Count int64 `json:"backlog_count"`
		}
		if b.raw(t, http.MethodGet, path+"/metrics", nil, &m); m.Count != 2 {
			return fmt.Errorf("%d wait", m.Count)
		}
		return nil
	})
	b.raw(t, http.MethodPatch, path, map[string]any{"settings": map[string]bool{"delivery_paused": false}}, nil)
}

func TestHyperdrive(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	ctx := t.Context()
	if b.Live {
		t.Skip("a real account connects to the database, and this suite has none to give")
	}
	origin := cloudflare.HyperdriveConfigOriginWithSecrets{Password: "never given back",
		HyperdriveConfigOrigin: cloudflare.HyperdriveConfigOrigin{Scheme: "postgres", Host: "db.example.test", Port: 5432, Database: "d", User: "u"}}
	made := must(b.CreateHyperdriveConfig(ctx, b.account, cloudflare.CreateHyperdriveConfigParams{Name: b.name, Origin: origin}))(t, "create config")
	raw := must(b.Raw(ctx, http.MethodGet, "/accounts/"+b.AccountID+"/hyperdrive/configs/"+made.ID, nil, nil))(t, "get config")
	var view map[string]map[string]any
	_ = json.Unmarshal(raw.Result, &view)
	if _, there := view["origin"]["password"]; there {
		t.Errorf("the password is given back: %s", raw.Result)
	}
	origin.Host = "other.example.test"
	changed := must(b.UpdateHyperdriveConfig(ctx, b.account, cloudflare.UpdateHyperdriveConfigParams{HyperdriveID: made.ID, Name: b.name, Origin: origin}))(t, "update config")
	if changed.Origin.Host != "other.example.test" {
		t.Errorf("changed %+v", changed)
	}
	ok(t, "delete config", b.DeleteHyperdriveConfig(ctx, b.account, made.ID))
	_, err := b.GetHyperdriveConfig(ctx, b.account, made.ID)
	wantCode(t, "get a deleted config", err, 2006)
}
