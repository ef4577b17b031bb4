package cognomega.policy.public_switches_test

import data.cognomega.policy.public_switches
import rego.v1

script(properties) := {"__type": "cognomega:index:WorkerScript", "__name": "auth-svc", "__properties": properties}

unknown := "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

test_allow_workers_dev_absent if count(public_switches.deny_workers_dev) == 0 with input as script({})

test_allow_workers_dev_false if count(public_switches.deny_workers_dev) == 0 with input as script({"workersDev": false})

test_deny_workers_dev_on if count(public_switches.deny_workers_dev) == 1 with input as script({"workersDev": true})

test_deny_workers_dev_unknown if count(public_switches.deny_workers_dev) == 1 with input as script({"workersDev": unknown})

test_allow_previews_absent if count(public_switches.deny_previews) == 0 with input as script({})

test_deny_previews_on if count(public_switches.deny_previews) == 1 with input as script({"previews": true})

test_deny_previews_unknown if count(public_switches.deny_previews) == 1 with input as script({"previews": unknown})

test_allow_script_type_ours if count(public_switches.deny_script_type) == 0 with input as script({})

test_deny_script_type_official if {
	official := {"__type": "cloudflare:index/workersScript:WorkersScript", "__name": "auth-svc", "__properties": {}}
	count(public_switches.deny_script_type) == 1 with input as official
}
