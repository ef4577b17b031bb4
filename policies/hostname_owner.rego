package cognomega.policy.hostname_owner

import rego.v1

# METADATA
# title: The hostname has exactly one owner
# custom:
#   why: A second route or custom domain on the hostname answers some of its paths in the gateway's place.
#   owner: platform
#   fix: "Delete or re-point the other route or custom domain: cogctl audit routes names it."
stack_deny_hostname_owner contains msg if {
	count(input.resources) > 0
	count(owners) != 1
	msg := sprintf("%s is owned by %d Workers (%s), want one", [data.context.hostname, count(owners), concat(", ", owners)])
}

# METADATA
# title: One route covers every path of the hostname
# custom:
#   why: A path that no route covers is answered by nobody, or by whoever adds a route for it.
#   owner: platform
#   fix: Declare one public Worker in contract/workers.json; its route is HOSTNAME/*.
stack_deny_hostname_coverage contains msg if {
	count(input.resources) > 0
	not covered
	msg := sprintf("no route covers %s/*", [data.context.hostname])
}

# METADATA
# title: Who a route gives the hostname to is known before it is applied
# custom:
#   why: A pattern or an owner that is only known afterwards cannot be judged.
#   owner: platform
#   fix: Give the route's pattern and script as text, not as another resource's output.
stack_deny_hostname_unknown contains msg if {
	some r in input.resources
	r.__type in route_types
	some property in ["pattern", "scriptName"]
	not known(object.get(r.__properties, property, null))
	msg := sprintf("route %s: its %s is not known, or not set", [r.__name, property])
}

route_types := {"cloudflare:index/workersRoute:WorkersRoute", "cloudflare:index/workerRoute:WorkerRoute"}

domain_types := {"cloudflare:index/workersDomain:WorkersDomain", "cloudflare:index/workerDomain:WorkerDomain"}

known(value) if {
	is_string(value)
	value != ""
	value != "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
}

covered if {
	some r in input.resources
	r.__type in route_types
	r.__properties.pattern == sprintf("%s/*", [data.context.hostname])
}

owners contains owner if {
	some r in input.resources
	r.__type in route_types
	matches(r.__properties.pattern)
	owner := object.get(r.__properties, "scriptName", "nobody")
}

owners contains owner if {
	some r in input.resources
	r.__type in domain_types
	lower(r.__properties.hostname) == data.context.hostname
	owner := sprintf("%s, by a custom domain", [r.__properties.service])
}

# A route's host may carry a scheme, and start with * for any prefix.
matches(pattern) if host(pattern) == data.context.hostname

matches(pattern) if {
	startswith(host(pattern), "*")
	endswith(data.context.hostname, trim_prefix(host(pattern), "*"))
}

host(pattern) := lower(split(trim_prefix(trim_prefix(pattern, "https://"), "http://"), "/")[0])
