package cognomega.policy.public_switches

import rego.v1

# METADATA
# title: workers.dev is off
# custom:
#   why: A Worker at workers.dev answers beside the hostname, without the gateway's checks.
#   owner: platform
#   fix: "Leave workersDev out, or turn it off: cogctl up does for a declared Worker."
deny_workers_dev contains msg if {
	input.__type == "cognomega:index:WorkerScript"
	not off("workersDev")
	msg := sprintf("Worker %s is served at workers.dev", [input.__name])
}

# METADATA
# title: Preview URLs are off
# custom:
#   why: A preview URL serves a version that nobody released, to everyone who guesses it.
#   owner: platform
#   fix: "Leave previews out, or turn it off: cogctl up does for a declared Worker."
deny_previews contains msg if {
	input.__type == "cognomega:index:WorkerScript"
	not off("previews")
	msg := sprintf("Worker %s has preview URLs", [input.__name])
}

# METADATA
# title: Scripts are declared with a type that has the switches
# custom:
#   why: The official provider's script type cannot say that workers.dev and preview URLs are off, and fights over the bindings.
#   owner: platform
#   fix: "Declare it with the project's own WorkerScript: an entry in contract/workers.json."
deny_script_type contains msg if {
	input.__type in {
		"cloudflare:index/workersScript:WorkersScript",
		"cloudflare:index/workerScript:WorkerScript",
	}
	msg := sprintf("Worker %s is declared as %s, want cognomega:index:WorkerScript", [input.__name, input.__type])
}

# Absent is off; anything else but false, such as a value not yet known, is not.
off(switch) if object.get(input.__properties, switch, false) == false
