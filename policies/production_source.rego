package cognomega.policy.production_source

import rego.v1

# METADATA
# title: Production is deployed from GitHub alone
# custom:
#   why: What runs in production is what was reviewed and merged, and the run's log says who released it.
#   owner: platform
#   fix: "Merge to main and run the deploy workflow: cogctl promote."
stack_deny_production_outside_github contains msg if {
	production
	not released
	msg := "production is deployed by the deploy workflow of cognomega/edge on main, and from nowhere else"
}

production if data.context.stack == "production"

production if {
	some r in input.resources
	startswith(r.__urn, "urn:pulumi:production::")
}

released if {
	data.context.github.actions == true
	data.context.github.repository == "cognomega/edge"
	data.context.github.ref == "refs/heads/main"
}
