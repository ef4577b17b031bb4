package deploy

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/policies"
)

// judge is the compiled policies.
type judge = policies.Set

// newJudge tells the policies what no resource says: which stack this is, and who deploys it from where.
func (r *run) newJudge(ctx context.Context) (*judge, error) {
	set, err := policies.Load(ctx, policies.Context{
		"stack": r.Stack, "hostname": r.Hostname, "allow_delete": r.AllowDelete,
		"github": map[string]any{
			"actions":    r.Getenv("GITHUB_ACTIONS") == "true",
			"repository": r.Getenv("GITHUB_REPOSITORY"),
			"ref":        r.Getenv("GITHUB_REF"),
		},
	})
	if err != nil {
		return nil, fault.New(fault.Internal, "%w", err)
	}
	return set, nil
}

// Allowed asks the policies whether this stack may be deployed from here at all.
func Allowed(ctx context.Context, stack string, getenv func(string) string) error {
	r := &run{Config: Config{Stack: stack, Getenv: getenv}, out: &emitter{w: io.Discard}}
	j, err := r.newJudge(ctx)
	if err != nil {
		return err
	}
	return r.judgeStack(ctx, j)
}

// judgeStack asks the rules that need no resources: may this stack be deployed from here at all.
func (r *run) judgeStack(ctx context.Context, j *judge) error {
	return r.verdict(ctx, j, nil)
}

// judgePlan judges what the preview planned. Of a plan that the engine did not finish only the deletions are judged:
// what is missing from it would only look wrong.
func (r *run) judgePlan(ctx context.Context, j *judge, p *plan, complete bool) error {
	docs := make([]policies.Document, 0, len(p.steps))
	for _, m := range p.steps {
		if complete || m.Op == apitype.OpDelete || m.Op == apitype.OpReplace {
			docs = append(docs, document(m))
		}
	}
	if complete {
		r.out.step("policy", fmt.Sprintf("%d rules on %d planned resources", j.Rules(), len(docs)))
		return r.verdict(ctx, j, docs)
	}
	found, err := j.JudgeEach(ctx, docs)
	return r.refusal(found, err)
}

// verdict refuses when the resources, each or all together, break a rule.
func (r *run) verdict(ctx context.Context, j *judge, docs []policies.Document) error {
	found, err := j.Judge(ctx, docs)
	return r.refusal(found, err)
}

func (r *run) refusal(found []policies.Violation, err error) error {
	if err != nil {
		return fault.New(fault.Internal, "%w", err)
	}
	// A replacement is three steps to the engine, and one violation to a person.
	found = slices.Compact(found)
	for _, v := range found {
		r.out.emit(Line{Type: "violation", Rule: v.Rule, Title: v.Title, Message: v.Message, URN: v.URN})
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return fault.New(fault.Refused, "a policy forbids it, and nothing was applied: %s", found[0].Message).
			WithHint("rule %s in policies/: %s", found[0].Rule, found[0].Title)
	default:
		return fault.New(fault.Refused, "policies forbid it in %d places, and nothing was applied; the first: %s", len(found), found[0].Message).
			WithHint("each violation names its rule in policies/")
	}
}

// document is a planned step as the rules see it.
func document(m apitype.StepEventMetadata) policies.Document {
	d := policies.Document{"__type": m.Type, "__urn": m.URN, "__name": nameOf(m.URN), "__provider": m.Provider, "op": string(m.Op)}
	if m.Old != nil {
		d["__old"] = hideSecrets(m.Old.Inputs)
	}
	properties := map[string]any{}
	switch {
	case m.New != nil && m.New.Inputs != nil:
		properties = hideSecrets(m.New.Inputs)
	case m.Old != nil:
		properties = hideSecrets(m.Old.Inputs)
	}
	d["__properties"] = properties
	return d
}

// documents are the resources of a state as they would be deleted one by one.
func (s *state) documents(op string) []policies.Document {
	var docs []policies.Document
	for _, res := range s.resources() {
		docs = append(docs, policies.Document{
			"__type": res.kind(), "__urn": res.urn(), "__name": nameOf(res.urn()), "op": op,
			"__properties": hideSecrets(res.inputs()), "__old": hideSecrets(res.inputs()),
		})
	}
	return docs
}
