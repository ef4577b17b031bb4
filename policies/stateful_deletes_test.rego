package cognomega.policy.stateful_deletes_test

import data.cognomega.policy.stateful_deletes
import rego.v1

kv := "cloudflare:index/workersKvNamespace:WorkersKvNamespace"

doc(type, op) := {"__type": type, "__name": "keys", "__properties": {}, "op": op}

deletes(d, allow) := n if n := count(stateful_deletes.deny_stateful_delete) with input as d with data.context as {"allow_delete": allow}

test_allow_stateful_delete_flag if deletes(doc(kv, "delete"), true) == 0

test_allow_stateful_delete_other_ops if {
	every op in ["create", "update", "same"] {
		deletes(doc(kv, op), false) == 0
	}
}

test_allow_stateful_delete_stateless if deletes(doc("cloudflare:index/workersRoute:WorkersRoute", "delete"), false) == 0

test_deny_stateful_delete if {
	every type in [
		kv,
		"cloudflare:index/r2Bucket:R2Bucket",
		"cloudflare:index/queue:Queue",
		"cloudflare:index/hyperdriveConfig:HyperdriveConfig",
	] {
		deletes(doc(type, "delete"), false) == 1
	}
}

test_deny_stateful_delete_replace if {
	every op in ["replace", "create-replacement", "delete-replaced"] {
		deletes(doc(kv, op), false) == 1
	}
}

test_deny_stateful_delete_no_context if {
	count(stateful_deletes.deny_stateful_delete) == 1 with input as doc(kv, "delete")
}

script(old, new) := {
	"__type": "cognomega:index:WorkerScript", "__name": "limiter", "op": "update",
	"__old": {"deletedClasses": old}, "__properties": {"deletedClasses": new},
}

classes(d, allow) := n if n := count(stateful_deletes.deny_class_delete) with input as d with data.context as {"allow_delete": allow}

test_allow_class_delete_flag if classes(script([], ["Limiter"]), true) == 0

test_allow_class_delete_done_before if classes(script(["Limiter"], ["Limiter"]), false) == 0

test_deny_class_delete if classes(script([], ["Limiter"]), false) == 1

owner(op) := {
	"__type": "cognomega:index:WorkerScript", "__name": "limiter", "op": op,
	"__old": {"durableObjects": [{"class": "Limiter"}]}, "__properties": {},
}

owners(d, allow) := n if n := count(stateful_deletes.deny_owner_delete) with input as d with data.context as {"allow_delete": allow}

test_allow_owner_delete_update if owners(owner("update"), false) == 0

test_allow_owner_delete_flag if owners(owner("delete"), true) == 0

test_allow_owner_delete_none if owners({"__type": "cognomega:index:WorkerScript", "__name": "x", "__properties": {}, "op": "delete"}, false) == 0

test_deny_owner_delete if owners(owner("delete"), false) == 1

test_deny_owner_delete_replace if owners(owner("replace"), false) == 1
