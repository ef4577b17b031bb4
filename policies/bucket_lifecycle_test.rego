package cognomega.policy.bucket_lifecycle_test

import data.cognomega.policy.bucket_lifecycle
import rego.v1

unknown := "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

bucket(name) := {"__type": "cloudflare:index/r2Bucket:R2Bucket", "__name": "uploads", "__properties": {"name": name}}

rules(name, list) := {
	"__type": "cognomega:index:R2BucketLifecycle",
	"__name": "uploads",
	"__properties": {"bucketName": name, "rules": list},
}

tmp := {"id": "tmp", "prefix": "tmp/", "expireDays": 3}

violations(resources) := n if {
	n := count(bucket_lifecycle.stack_deny_bucket_without_lifecycle) with input as {"resources": resources}
}

test_allow_bucket_without_lifecycle_rules if violations([bucket("up"), rules("up", [tmp])]) == 0

test_allow_bucket_without_lifecycle_no_bucket if violations([]) == 0

test_deny_bucket_without_lifecycle_none if violations([bucket("up")]) == 1

test_deny_bucket_without_lifecycle_of_another if violations([bucket("up"), rules("down", [tmp])]) == 1

test_deny_bucket_without_lifecycle_empty if violations([bucket("up"), rules("up", [])]) == 1

test_deny_bucket_without_lifecycle_all_off if {
	violations([bucket("up"), rules("up", [object.union(tmp, {"disabled": true})])]) == 1
}

test_deny_bucket_without_lifecycle_unknown if violations([bucket(unknown), rules(unknown, [tmp])]) == 1
