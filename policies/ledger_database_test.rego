package cognomega.policy.ledger_database_test

import data.cognomega.policy.ledger_database
import rego.v1

good := {"scheme": "postgres", "host": "db.example.test", "port": 5432, "database": "ledger", "user": "edge", "password": "[secret]"}

config(origin, caching) := {
	"__type": "cloudflare:index/hyperdriveConfig:HyperdriveConfig", "__name": "neon",
	"__properties": {"name": "cognomega-neon", "origin": origin, "caching": caching},
}

declared(change) := config(object.union(good, change), {"disabled": true})

passwords(c) := n if n := count(ledger_database.deny_plain_password) with input as c

places(c) := n if n := count(ledger_database.deny_password_in_origin) with input as c

cached(c) := n if n := count(ledger_database.deny_cached_ledger) with input as c

test_allow_plain_password_secret if passwords(declared({})) == 0

test_allow_plain_password_elsewhere if passwords({"__type": "cloudflare:index/queue:Queue", "__name": "q", "__properties": {}}) == 0

test_deny_plain_password if passwords(declared({"password": "hunter2"})) == 1

test_deny_plain_password_unknown if passwords(declared({"password": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"})) == 1

test_deny_plain_password_absent if passwords(config(object.remove(good, ["password"]), {"disabled": true})) == 1

test_deny_plain_password_without_origin if {
	bare := {"__type": "cloudflare:index/hyperdriveConfig:HyperdriveConfig", "__name": "neon", "__properties": {}}
	passwords(bare) == 1
}

test_allow_password_in_origin_names if places(declared({})) == 0

test_deny_password_in_origin if {
	every change in [{"host": "u:hunter2@db.example.test"}, {"database": "postgres://u:hunter2@db/ledger"}, {"user": "edge_password_hunter2"}] {
		places(declared(change)) == 1
	}
}

test_allow_cached_ledger_disabled if cached(declared({})) == 0

test_deny_cached_ledger if cached(config(good, {"disabled": false})) == 1

test_deny_cached_ledger_absent if cached(config(good, {})) == 1
