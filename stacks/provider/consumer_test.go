package provider_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

func consumer(edits object) property.Map {
	in := object{"queueId": "q1", "scriptName": "usage"}
	for name, v := range edits {
		in[name] = v
		if v == nil {
			delete(in, name)
		}
	}
	return props(in)
}

// consuming is an engine for a consumer in an account that has two scripts, of which one has a queue handler.
func consuming(t *testing.T) *engine {
	t.Helper()
	c := newCloud(t)
	c.scripts["usage"] = &script{modules: map[string]string{"worker.js": code}}
	c.scripts["other"] = &script{modules: map[string]string{"worker.js": code}}
	c.scripts["plain"] = &script{modules: map[string]string{"worker.js": "export default {}"}}
	return newEngine(t, c, "QueueConsumer")
}

func TestConsumerIsAttachedOnceWithCloudflaresDefaults(t *testing.T) {
	t.Parallel()
	e := consuming(t)
	in := consumer(nil)
	e.mustUp(in)
	settings := e.cloud.queues["q1"][0]["settings"].(object)
	if settings["batch_size"] != 10.0 || settings["max_wait_time_ms"] != 5000.0 || settings["max_retries"] != 3.0 {
		t.Errorf("settings: %v", settings)
	}
	e.refresh()
	if changed := e.mustUp(in); changed != nil {
		t.Errorf("again: %v", changed)
	}
	pull := newEngine(t, e.cloud, "QueueConsumer")
	e.cloud.queues["q2"] = nil
	in = consumer(object{"queueId": "q2", "type": "http_pull", "scriptName": nil})
	pull.mustUp(in)
	pull.refresh()
	if changed := pull.mustUp(in); changed != nil {
		t.Errorf("http_pull again: %v", changed)
	}
}

func TestDriftOfAConsumer(t *testing.T) {
	t.Parallel()
	set := func(name string, v any) func(object) {
		return func(o object) { o["settings"].(object)[name] = v }
	}
	tests := map[string]struct {
		edit func(object)
		want []string
	}{
		"batch size":         {set("batch_size", 1), []string{"batchSize"}},
		"retries to none":    {set("max_retries", 0), []string{"maxRetries"}},
		"wait":               {set("max_wait_time_ms", 0), []string{"maxWaitMs"}},
		"concurrency":        {set("max_concurrency", 2), []string{"maxConcurrency"}},
		"concurrency of 0":   {set("max_concurrency", 0), []string{}}, // how some answers spell none
		"retry delay":        {set("retry_delay", 60), []string{"retryDelaySeconds"}},
		"dead letters":       {func(o object) { o["dead_letter_queue"] = "dlq" }, []string{"deadLetterQueue"}},
		"made anew":          {func(o object) { o["consumer_id"] = "another" }, []string{}},
		"script called that": {func(o object) { o["script"], o["script_name"] = o["script_name"], nil }, []string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, in := consuming(t), consumer(nil)
			e.mustUp(in)
			e.cloud.change(func(c *cloud) { tt.edit(c.queues["q1"][0]) })
			e.refresh()
			if diff := cmp.Diff(tt.want, paths(e.diff(e.mustCheck(in)))); diff != "" {
				t.Fatalf("drift (-want +got):\n%s", diff)
			}
			e.mustUp(in)
			e.refresh()
			if changed := e.mustUp(in); changed != nil {
				t.Errorf("after the repair: %v", changed)
			}
		})
	}
}

func TestConsumerThatExists(t *testing.T) {
	t.Parallel()
	e, in := consuming(t), consumer(object{"batchSize": 20})
	e.mustUp(consumer(nil))
	again := newEngine(t, e.cloud, "QueueConsumer") // the state was lost
	again.mustUp(in)
	if have := e.cloud.queues["q1"]; len(have) != 1 || have[0]["settings"].(object)["batch_size"] != 20.0 || again.id != e.id {
		t.Errorf("not adopted: %v", have)
	}
	if slices.Contains(e.cloud.takeWrites()[1:], "POST /queues/q1/consumers") {
		t.Error("posted over an existing consumer")
	}
	theirs := newEngine(t, e.cloud, "QueueConsumer")
	_, err := theirs.up(consumer(object{"scriptName": "other"}))
	if err == nil || !strings.Contains(err.Error(), "script usage") || !strings.Contains(err.Error(), "11004") {
		t.Errorf("another script's consumer: %v", err)
	}
}

func TestConsumerErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   object
		want []string
	}{
		"no queue handler": {object{"scriptName": "plain"}, []string{"11001", "queue() handler"}},
		"no script":        {object{"scriptName": "nobody"}, []string{"10007"}},
		"no queue":         {object{"queueId": "nowhere"}, []string{"11000", "no such queue"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := consuming(t).up(consumer(tt.in))
			if err == nil {
				t.Fatal("no error")
			}
			for _, words := range tt.want {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("no %q in: %v", words, err)
				}
			}
		})
	}
}

func TestConsumerOfAnotherScriptReplacesAfterDeleting(t *testing.T) {
	t.Parallel()
	e := consuming(t)
	e.mustUp(consumer(nil))
	diff := e.diff(e.mustCheck(consumer(object{"scriptName": "other"})))
	if diff.DetailedDiff["scriptName"].Kind != p.UpdateReplace || !diff.DeleteBeforeReplace {
		t.Errorf("diff: %+v", diff)
	}
}

func TestConsumerGoneAndDeleted(t *testing.T) {
	t.Parallel()
	e, in := consuming(t), consumer(nil)
	e.mustUp(in)
	e.cloud.change(func(c *cloud) { c.queues["q1"] = nil })
	if err := e.destroy(); err != nil {
		t.Errorf("delete of what is gone: %v", err)
	}
	e.refresh()
	if e.id != "" {
		t.Error("a detached consumer is still there")
	}
	e.mustUp(in)
	if err := e.destroy(); err != nil || len(e.cloud.queues["q1"]) != 0 {
		t.Errorf("delete: %v", err)
	}
	e.cloud.change(func(c *cloud) { delete(c.queues, "q1") })
	if err := e.destroy(); err != nil {
		t.Errorf("delete after the queue: %v", err)
	}
	e.refresh()
	if e.id != "" {
		t.Error("a consumer of no queue is still there")
	}
}

func TestCheckOfAConsumer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   object
		want map[string]string
	}{
		"fine":              {object{}, nil},
		"no script":         {object{"scriptName": nil}, map[string]string{"scriptName": "missing"}},
		"script for pull":   {object{"type": "http_pull"}, map[string]string{"scriptName": "means nothing"}},
		"type":              {object{"type": "lambda"}, map[string]string{"type": "http_pull"}},
		"batch":             {object{"batchSize": 101}, map[string]string{"batchSize": "between 1 and 100"}},
		"wait":              {object{"maxWaitMs": 60_001}, map[string]string{"maxWaitMs": "60000"}},
		"visibility":        {object{"visibilityTimeoutMs": 1}, map[string]string{"visibilityTimeoutMs": "means nothing"}},
		"wait for pull":     {object{"type": "http_pull", "scriptName": nil, "maxWaitMs": 1}, map[string]string{"maxWaitMs": "means nothing"}},
		"no retries at all": {object{"maxRetries": 0}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, failures := consuming(t).check(consumer(tt.in))
			expectFailures(t, tt.want, failures)
		})
	}
}
