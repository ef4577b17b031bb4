package cognomega.policy.production_source_test

import data.cognomega.policy.production_source
import rego.v1

main := {"actions": true, "repository": "cognomega/edge", "ref": "refs/heads/main"}

violations(context, resources) := n if {
	n := count(production_source.stack_deny_production_outside_github) with input as {"resources": resources} with data.context as context
}

test_allow_production_outside_github_main if violations({"stack": "production", "github": main}, []) == 0

test_allow_production_outside_github_other_stacks if violations({"stack": "local"}, []) == 0

test_deny_production_outside_github_laptop if violations({"stack": "production"}, []) == 1

test_deny_production_outside_github_fork if {
	violations({"stack": "production", "github": object.union(main, {"repository": "someone/edge"})}, []) == 1
}

test_deny_production_outside_github_branch if {
	violations({"stack": "production", "github": object.union(main, {"ref": "refs/heads/topic"})}, []) == 1
}

test_deny_production_outside_github_by_urn if {
	urn := "urn:pulumi:production::edge::cloudflare:index/queue:Queue::q"
	violations({}, [{"__urn": urn, "__type": "cloudflare:index/queue:Queue", "__name": "q", "__properties": {}}]) == 1
}
