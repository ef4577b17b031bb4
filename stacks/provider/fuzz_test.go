package provider

import (
	"encoding/json"
	"testing"

	"github.com/cognomega/edge/internal/cfapi"
)

// Whatever the API answers as a rule must be readable, and what is said in days must say the rule completely.
func FuzzLiveRule(f *testing.F) {
	f.Add([]byte(`{"id":"tmp","enabled":true,"conditions":{"prefix":"tmp/"},"deleteObjectsTransition":{"condition":{"type":"Age","maxAge":86400}}}`))
	f.Add([]byte(`{"id":"x","deleteObjectsTransition":{},"storageClassTransitions":[{"condition":{"type":"Date","date":"2027-01-01"},"storageClass":"InfrequentAccess"}]}`))
	f.Add([]byte(`{"id":"x","storageClassTransitions":[{"condition":{"type":"Age","maxAge":-1},"storageClass":"Cold"},{}],"abortMultipartUploadsTransition":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var live cfapi.LifecycleRule
		if json.Unmarshal(raw, &live) != nil {
			t.Skip()
		}
		rule := fromRule(live)
		if rule.Beyond == nil && !sameRule(rule, fromRule(rule.wire())) {
			t.Errorf("%s reads as %+v, which writes as %+v", raw, rule, rule.wire())
		}
	})
}

// Whatever the API answers as a binding must be readable, and declaring what was read must be no change.
func FuzzLiveBinding(f *testing.F) {
	f.Add([]byte(`{"name":"A","type":"json","json":{"b": 1.0, "a": [1e2]}}`), "api")
	f.Add([]byte(`{"name":"A","type":"durable_object_namespace","class_name":"C","script_name":"api","namespace_id":"x"}`), "api")
	f.Add([]byte(`{"name":"A","type":"ratelimit","namespace_id":"1","simple":{"limit":1,"period":10}}`), "")
	f.Add([]byte(`{"name":"A","type":"plain_text","text":""}`), "api")
	f.Fuzz(func(t *testing.T, raw []byte, script string) {
		var live cfapi.Binding
		if json.Unmarshal(raw, &live) != nil {
			t.Skip()
		}
		b := fromWire(live, script)
		if again := fromWire(b.wire(), script); !sameBinding(b, again) {
			t.Errorf("%s reads as %+v, and its declaration as %+v", raw, b, again)
		}
	})
}
