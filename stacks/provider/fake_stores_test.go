package provider_test

import (
	"encoding/json"
	"net/http"
	"slices"
)

// consumers answers under /queues/{id}/consumers. Settings that are not given get the defaults, and answers have them all, zeros too.
func (c *cloud) consumers(r *http.Request, queue, id string) (any, *refusal) {
	have, exists := c.queues[queue]
	if !exists {
		return nil, refuse(404, 11000, "queue does not exist")
	}
	at := slices.IndexFunc(have, func(o object) bool { return o["consumer_id"] == id })
	if id != "" && at < 0 {
		return nil, refuse(404, 10013, "consumer not found")
	}
	switch r.Method {
	case http.MethodGet:
		if have == nil {
			have = []object{}
		}
		return have, nil
	case http.MethodDelete:
		c.queues[queue] = slices.Delete(have, at, at+1)
		return nil, nil
	}
	if r.Method == http.MethodPost && len(have) > 0 {
		return nil, refuse(409, 11004, "Queue %s already has a consumer", queue)
	}
	var in object
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		return nil, refuse(400, 10026, "bad body")
	}
	if in["type"] == "worker" {
		name, _ := in["script_name"].(string)
		if c.scripts[name] == nil {
			return nil, refuse(404, 10007, "This Worker does not exist on your account.")
		}
		if !handlesQueue(c.scripts[name]) {
			return nil, refuse(400, 11001, "Worker has no queue handler")
		}
	}
	consumer := complete(in)
	if r.Method == http.MethodPost {
		consumer["consumer_id"] = c.id("consumer")
		c.queues[queue] = append(have, consumer)
		return consumer, nil
	}
	consumer["consumer_id"] = id
	have[at] = consumer
	return consumer, nil
}

func handlesQueue(s *script) bool {
	for _, code := range s.modules {
		if len(code) > 0 && slices.Contains([]byte(code), 'q') {
			return true
		}
	}
	return false
}

func complete(in object) object {
	settings, _ := in["settings"].(object)
	out := object{"batch_size": 10, "max_retries": 3, "max_wait_time_ms": 5000, "retry_delay": 0, "max_concurrency": nil}
	if in["type"] == "http_pull" {
		out = object{"batch_size": 10, "max_retries": 3, "visibility_timeout_ms": 30000, "retry_delay": 0, "max_wait_time_ms": 0}
	}
	for name, value := range settings {
		out[name] = value
	}
	consumer := object{"type": in["type"], "script_name": in["script_name"], "settings": out}
	if in["dead_letter_queue"] != nil {
		consumer["dead_letter_queue"] = in["dead_letter_queue"]
	}
	return consumer
}

// lifecycle answers under /r2/buckets/{name}/lifecycle. Like Cloudflare, it gives back actions that were not set as empty ones.
func (c *cloud) lifecycle(r *http.Request, bucket string) (any, *refusal) {
	rules, exists := c.buckets[bucket]
	if !exists {
		return nil, refuse(404, 10006, "The specified bucket does not exist.")
	}
	if r.Method == http.MethodPut {
		var in struct {
			Rules []any `json:"rules"`
		}
		if json.NewDecoder(r.Body).Decode(&in) != nil {
			return nil, refuse(400, 10040, "bad body")
		}
		c.buckets[bucket] = in.Rules
		return object{}, nil
	}
	for _, raw := range rules {
		if rule := raw.(object); rule["deleteObjectsTransition"] == nil {
			rule["deleteObjectsTransition"], rule["storageClassTransitions"] = object{}, orEmpty(rule["storageClassTransitions"])
		}
	}
	return object{"rules": rules}, nil
}

func orEmpty(v any) any {
	if v == nil {
		return []any{}
	}
	return v
}

// defaultRules are what a new bucket has.
func defaultRules() []any {
	return []any{object{
		"id": "Default Multipart Abort Rule", "enabled": true, "conditions": object{"prefix": ""},
		"abortMultipartUploadsTransition": object{"condition": object{"type": "Age", "maxAge": 604800.0}},
	}}
}
