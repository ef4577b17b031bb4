package cognomega.policy.plain_secrets

import rego.v1

# METADATA
# title: No binding that is named like a secret is plain text
# custom:
#   why: Plain-text bindings are readable in the dashboard, in the API and in the state.
#   owner: platform
#   fix: Declare the binding as a secret in contract/workers.json, or give the variable another name.
deny_secret_name contains msg if {
	some b in plain_bindings
	regex.match(`(?i)(secret|token|passw|private|credential|api_?key|admin_?key|_key$|_pem$|^pem$|dsn$|database_url)`, b.name)
	msg := sprintf("binding %s of %s is named like a secret and bound as %s", [b.name, input.__name, b.type])
}

# METADATA
# title: No plain-text value looks like a secret
# custom:
#   why: A key in a variable is a key in every list, export and log of the configuration.
#   owner: platform
#   fix: "Declare the binding as a secret, put its value into the secrets file, and change the value: it has been shown."
deny_secret_value contains msg if {
	some b in plain_bindings
	looks_secret(value(b))
	msg := sprintf("binding %s of %s holds what looks like a secret, as %s", [b.name, input.__name, b.type])
}

# METADATA
# title: A plain-text value is known before it is applied
# custom:
#   why: A value that is not known yet cannot be told from a secret.
#   owner: platform
#   fix: Give the variable a value of contract/envs.json, not another resource's output.
deny_unknown_value contains msg if {
	some b in plain_bindings
	not known(value(b))
	msg := sprintf("binding %s of %s is %s, and its value is not known before it is applied", [b.name, input.__name, b.type])
}

plain_bindings contains b if {
	input.__type == "cognomega:index:WorkerScript"
	some b in input.__properties.bindings
	b.type in {"plain_text", "json"}
}

value(b) := object.get(b, "text", object.get(b, "json", null))

known(v) if {
	is_string(v)
	v != "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
}

looks_secret("[secret]")

looks_secret(v) if contains(v, "PRIVATE KEY-----")

looks_secret(v) if regex.match(`://[^/@\s:]+:[^/@\s]+@`, v)

looks_secret(v) if regex.match(`\b(sk-[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{16,}|ghp_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16})`, v)

looks_secret(v) if regex.match(`\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.`, v)

looks_secret(v) if regex.match(`^[A-Za-z0-9+/_-]{40,}={0,2}$`, v)
