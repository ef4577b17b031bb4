package cognomega.policy.bucket_lifecycle

import rego.v1

# METADATA
# title: Every bucket has lifecycle rules
# custom:
#   why: Without rules, unfinished uploads and temporary objects stay and are paid for until somebody looks.
#   owner: platform
#   fix: Give the bucket a rule in contract/stores.json, at least one that aborts unfinished uploads.
stack_deny_bucket_without_lifecycle contains msg if {
	some bucket in input.resources
	bucket.__type == "cloudflare:index/r2Bucket:R2Bucket"
	not has_rules(object.get(bucket.__properties, "name", null))
	msg := sprintf("bucket %s has no lifecycle rule that is on", [bucket.__name])
}

has_rules(name) if {
	is_string(name)
	name != "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
	some r in input.resources
	r.__type == "cognomega:index:R2BucketLifecycle"
	r.__properties.bucketName == name
	some rule in r.__properties.rules
	object.get(rule, "disabled", false) == false
}
