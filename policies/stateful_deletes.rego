package cognomega.policy.stateful_deletes

import rego.v1

# METADATA
# title: What holds data is not deleted or replaced
# custom:
#   why: A namespace, bucket, queue or database connection is gone with what is in it; only a person who said so may do that.
#   owner: platform
#   fix: Keep the entry in the contract; if the data may go, say --allow-delete.
deny_stateful_delete contains msg if {
	input.__type in {
		"cloudflare:index/workersKvNamespace:WorkersKvNamespace",
		"cloudflare:index/r2Bucket:R2Bucket",
		"cloudflare:index/queue:Queue",
		"cloudflare:index/hyperdriveConfig:HyperdriveConfig",
	}
	destroys
	not data.context.allow_delete == true
	msg := sprintf("%s would be %s; it holds data (--allow-delete if that is meant)", [input.__name, verb])
}

# METADATA
# title: Durable Object classes are not deleted
# custom:
#   why: Deleting a class deletes every object of it, and Cloudflare keeps no copy.
#   owner: platform
#   fix: Keep the class in the Worker; if its objects may go, say --allow-delete.
deny_class_delete contains msg if {
	input.__type == "cognomega:index:WorkerScript"
	some class in object.get(input.__properties, "deletedClasses", [])
	not class in object.get(object.get(input, "__old", {}), "deletedClasses", [])
	not data.context.allow_delete == true
	msg := sprintf("%s would delete the Durable Object class %s and its objects (--allow-delete if that is meant)", [input.__name, class])
}

# METADATA
# title: A Worker with Durable Objects is not deleted or replaced
# custom:
#   why: The objects go with the script that implements them.
#   owner: platform
#   fix: Keep the Worker, or move its classes to another one first; if the objects may go, say --allow-delete.
deny_owner_delete contains msg if {
	input.__type == "cognomega:index:WorkerScript"
	destroys
	count(object.get(object.get(input, "__old", input.__properties), "durableObjects", [])) > 0
	not data.context.allow_delete == true
	msg := sprintf("Worker %s would be %s with its Durable Objects (--allow-delete if that is meant)", [input.__name, verb])
}

destroys if input.op in {"delete", "replace", "create-replacement", "delete-replaced", "import-replacement"}

verb := "deleted" if input.op == "delete"

verb := "replaced" if input.op != "delete"
