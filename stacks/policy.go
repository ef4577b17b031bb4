package main

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/policies"
	"github.com/cognomega/edge/stacks/deploy"
)

// policyVerb judges by the policies without a stack: policy <rules|test|judge>.
const policyVerb = "policy"

// maxQuestion is above the documents of any account.
const maxQuestion = 64 << 20

// policyQuestion is what `policy judge` reads from stdin: resources as the rules see them, and what they know beside.
type policyQuestion struct {
	Context   policies.Context    `json:"context"`
	Documents []policies.Document `json:"documents"`
}

func policy(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fault.New(fault.Invalid, "want one of rules, test and judge").WithHint("stacks policy rules")
	}
	var (
		answer = map[string]any{}
		err    error
	)
	switch args[0] {
	case "rules":
		answer["rules"], err = policies.Rules()
	case "test":
		answer["tests"], err = policies.Test(ctx)
	case "judge":
		answer, err = judgeDocuments(ctx)
	default:
		return fault.New(fault.Invalid, "policy %q is not known", args[0]).WithHint("one of rules, test and judge")
	}
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(deploy.Line{Type: policyVerb, Outputs: answer}); err != nil {
		return fault.New(fault.Unavailable, "report on the policies: %w", err)
	}
	return nil
}

func judgeDocuments(ctx context.Context) (map[string]any, error) {
	raw, err := io.ReadAll(io.LimitReader(os.Stdin, maxQuestion))
	var q policyQuestion
	if err == nil {
		err = json.Unmarshal(raw, &q)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "read what is to be judged: %w", err)
	}
	set, err := policies.Load(ctx, q.Context)
	if err != nil {
		return nil, fault.New(fault.Internal, "%w", err)
	}
	found, err := set.Judge(ctx, q.Documents)
	if err != nil {
		return nil, fault.New(fault.Internal, "%w", err)
	}
	violations := make([]map[string]string, 0, len(found))
	for _, v := range found {
		violations = append(violations, map[string]string{"rule": v.Rule, "title": v.Title, "message": v.Message, "urn": v.URN})
	}
	return map[string]any{"violations": violations, "rules": set.Rules()}, nil
}
