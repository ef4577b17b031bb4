package cognomega.policy.ledger_database

import rego.v1

# METADATA
# title: A database's password is a secret of the state
# custom:
#   why: What the state holds in the clear, every export, log and backup of it holds too.
#   owner: platform
#   fix: Pass the connection string through the secrets file, from where it is wrapped as a secret.
deny_plain_password contains msg if {
	input.__type == hyperdrive
	not secret(object.get(origin, "password", null))
	msg := sprintf("the password of %s is not kept as a secret", [input.__name])
}

# METADATA
# title: Where a database is holds no password
# custom:
#   why: A host, a user or a database name is shown by every list; a connection string that lands there is read by everyone.
#   owner: platform
#   fix: "Split the connection string: only the host, the user and the database's name belong there."
deny_password_in_origin contains msg if {
	input.__type == hyperdrive
	some field in ["scheme", "host", "database", "user"]
	regex.match(`://|@|(?i)passw`, sprintf("%v", [object.get(origin, field, "")]))
	msg := sprintf("the origin's %s of %s holds more than a name", [field, input.__name])
}

# METADATA
# title: Answers of the ledger are not cached
# custom:
#   why: A cached balance is a wrong balance, and can be spent twice.
#   owner: platform
#   fix: Say cache_disabled in contract/stores.json.
deny_cached_ledger contains msg if {
	input.__type == hyperdrive
	not object.get(object.get(input.__properties, "caching", {}), "disabled", false) == true
	msg := sprintf("%s caches what the database answers", [input.__name])
}

hyperdrive := "cloudflare:index/hyperdriveConfig:HyperdriveConfig"

origin := object.get(input.__properties, "origin", {})

# What is secret reaches a rule as this mark and nothing else; a value that is not known yet may be anything.
secret("[secret]")
