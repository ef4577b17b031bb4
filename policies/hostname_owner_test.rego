package cognomega.policy.hostname_owner_test

import data.cognomega.policy.hostname_owner
import rego.v1

context := {"hostname": "api.example.test"}

route(pattern, script) := {
	"__type": "cloudflare:index/workersRoute:WorkersRoute",
	"__name": "public",
	"__properties": {"pattern": pattern, "scriptName": script},
}

gateway := route("api.example.test/*", "gateway")

domain := {
	"__type": "cloudflare:index/workersDomain:WorkersDomain",
	"__name": "custom",
	"__properties": {"hostname": "API.example.test", "service": "preview"},
}

denied_owner(resources) if {
	count(hostname_owner.stack_deny_hostname_owner) == 1 with input as {"resources": resources} with data.context as context
}

allowed_owner(resources) if {
	count(hostname_owner.stack_deny_hostname_owner) == 0 with input as {"resources": resources} with data.context as context
}

test_allow_hostname_owner_one if allowed_owner([gateway])

test_allow_hostname_owner_twice_the_same if allowed_owner([gateway, route("api.example.test/v2/*", "gateway")])

test_allow_hostname_owner_other_host if allowed_owner([gateway, route("www.example.test/*", "site"), route("*.other.test/*", "site")])

test_deny_hostname_owner_none if denied_owner([route("www.example.test/*", "site")])

test_deny_hostname_owner_shadow if denied_owner([gateway, route("api.example.test/api/voice/*", "preview")])

test_deny_hostname_owner_scheme if denied_owner([gateway, route("https://API.example.test/x", "preview")])

test_deny_hostname_owner_wildcard if denied_owner([gateway, route("*.example.test/*", "catch-all")])

test_deny_hostname_owner_custom_domain if denied_owner([gateway, domain])

test_deny_hostname_owner_null_route if {
	null_route := {"__type": gateway.__type, "__name": "null", "__properties": {"pattern": "api.example.test/x"}}
	denied_owner([gateway, null_route])
}

test_allow_hostname_coverage if {
	count(hostname_owner.stack_deny_hostname_coverage) == 0 with input as {"resources": [gateway]} with data.context as context
}

test_deny_hostname_coverage_part if {
	part := route("api.example.test/api/*", "gateway")
	count(hostname_owner.stack_deny_hostname_coverage) == 1 with input as {"resources": [part]} with data.context as context
}

test_allow_hostname_unknown if {
	count(hostname_owner.stack_deny_hostname_unknown) == 0 with input as {"resources": [gateway]} with data.context as context
}

test_deny_hostname_unknown_pattern if {
	r := route("04da6b54-80e4-46f7-96ec-b56ff0331ba9", "gateway")
	count(hostname_owner.stack_deny_hostname_unknown) == 1 with input as {"resources": [gateway, r]} with data.context as context
}

test_deny_hostname_unknown_script if {
	r := {"__type": gateway.__type, "__name": "null", "__properties": {"pattern": "www.example.test/*"}}
	count(hostname_owner.stack_deny_hostname_unknown) == 1 with input as {"resources": [gateway, r]} with data.context as context
}
