package cli

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

type policyCheckOptions struct{ allowDelete bool }

// policyViolation is a rule that is broken, and what breaks it.
type policyViolation struct {
	Rule     string `json:"rule"`
	Title    string `json:"title"`
	Message  string `json:"message"`
	Resource string `json:"resource,omitempty"`
}

type policyCheckResult struct {
	Env        string            `json:"env"`
	Judged     string            `json:"judged"` // live, plan or snapshot
	Source     string            `json:"source"`
	Rules      int               `json:"rules"`
	Resources  int               `json:"resources"`
	Violations []policyViolation `json:"violations"`
	Unseen     []snapshot.Unseen `json:"unseen"` // what could not be looked at
}

func newPolicyCheck(d *Deps) *cobra.Command {
	var o policyCheckOptions
	cmd := &cobra.Command{
		Use: "check [live|file]", Short: "Judge a plan, a snapshot or what is live by the rules that a deployment is judged by", Args: cobra.MaximumNArgs(1),
		Long: "Judge a plan, a snapshot or what is live by the rules that a deployment is judged by. A file is what `cogctl env snapshot` or `pulumi preview --json` wrote; without one, what is live is read.\n" +
			"A plan is judged as `cogctl up` would from here. Of what is there already, where it was deployed from and what is deleted cannot be judged.\n\nExit codes: 0 nothing is broken; 5 a rule is; 4 a part could not be seen.",
		Example: "  cogctl policy check --env production\n  cogctl policy check snapshots/before.json\n  pulumi preview --json > plan.json && cogctl policy check plan.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := runPolicyCheck(cmd.Context(), d, o, args)
			if err != nil {
				return err
			}
			if err := d.Term.Print(term.Report{Schema: "cogctl/policy.check/v1", Data: result, Blocks: result.blocks()}); err != nil {
				return err
			}
			return result.err()
		},
	}
	cmd.Flags().BoolVar(&o.allowDelete, "allow-delete", false, "judge a plan as `up --allow-delete` would")
	return cmd
}

func runPolicyCheck(ctx context.Context, d *Deps, o policyCheckOptions, args []string) (*policyCheckResult, error) {
	l, err := d.layout()
	if err != nil {
		return nil, err
	}
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	result := &policyCheckResult{Env: d.Env, Violations: []policyViolation{}, Unseen: []snapshot.Unseen{}}
	docs, err := d.judged(ctx, result, args)
	if err != nil {
		return nil, err
	}
	env, ok := c.Envs[result.Env]
	if !ok {
		return nil, d.unknownEnv(c)
	}
	run := c.Gates.Promotion.Run
	github := map[string]any{"actions": true, "repository": run.Repository, "ref": run.Ref} // nothing is deployed by looking
	if result.Judged == "plan" {
		github = map[string]any{"actions": d.Getenv("GITHUB_ACTIONS") == "true", "repository": d.Getenv("GITHUB_REPOSITORY"), "ref": d.Getenv("GITHUB_REF")}
	}
	var answer struct {
		Rules      int `json:"rules"`
		Violations []struct{ Rule, Title, Message, URN string }
	}
	question := map[string]any{"documents": docs, "context": map[string]any{"stack": result.Env, "hostname": env.Hostname, "allow_delete": o.allowDelete, "github": github}}
	if err := platform.Policy(ctx, l, "judge", question, &answer); err != nil {
		return nil, err
	}
	result.Rules, result.Resources = answer.Rules, len(docs)
	for _, v := range answer.Violations {
		result.Violations = append(result.Violations, policyViolation{v.Rule, v.Title, v.Message, lastOf(v.URN)})
	}
	return result, nil
}

// judged is what is to be judged, in the words of the rules.
func (d *Deps) judged(ctx context.Context, result *policyCheckResult, args []string) ([]map[string]any, error) {
	if len(args) == 0 || args[0] == "live" {
		s, err := d.live(ctx, d.Env)
		if err != nil {
			return nil, err
		}
		result.Judged, result.Source, result.Unseen = "live", d.Env, append(result.Unseen, s.Unseen...)
		return s.Documents(), nil
	}
	raw, err := d.read(args[0])
	if err != nil {
		return nil, err
	}
	result.Source = args[0]
	if docs, ok := planDocuments(raw); ok {
		result.Judged = "plan"
		return docs, nil
	}
	s, err := snapshot.Parse(raw)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s is neither a snapshot nor a plan: %w", args[0], err).WithHint("cogctl env snapshot, or pulumi preview --json")
	}
	result.Judged, result.Env, result.Unseen = "snapshot", s.Env, append(result.Unseen, s.Unseen...)
	return s.Documents(), nil
}

// planDocuments reads what `pulumi preview --json` writes.
func planDocuments(raw []byte) ([]map[string]any, bool) {
	type state struct {
		Type   string         `json:"type"`
		Inputs map[string]any `json:"inputs"`
	}
	var plan struct {
		Steps []struct {
			Op  string `json:"op"`
			URN string `json:"urn"`
			Old *state `json:"oldState"`
			New *state `json:"newState"`
		} `json:"steps"`
	}
	if json.Unmarshal(raw, &plan) != nil || plan.Steps == nil {
		return nil, false
	}
	docs := []map[string]any{}
	for _, s := range plan.Steps {
		shown := s.New
		if shown == nil {
			shown = s.Old
		}
		if shown == nil {
			continue
		}
		doc := map[string]any{"__type": shown.Type, "__urn": s.URN, "__name": lastOf(s.URN), "op": s.Op, "__properties": hideSecrets(shown.Inputs)}
		if s.Old != nil {
			doc["__old"] = hideSecrets(s.Old.Inputs)
		}
		docs = append(docs, doc)
	}
	return docs, true
}

// lastOf is the last part of a URN: the resource's own name.
func lastOf(urn string) string {
	if i := strings.LastIndex(urn, "::"); i >= 0 {
		return urn[i+len("::"):]
	}
	return urn
}

// secretMark is the key by which the engine marks an encrypted value.
const secretMark = "4dabf18193072939515e22adb298388d"

// hideSecrets shows the rules that a value is secret, and not the value.
func hideSecrets(inputs map[string]any) map[string]any {
	hidden, _ := hide(inputs).(map[string]any)
	if hidden == nil {
		hidden = map[string]any{}
	}
	return hidden
}

func hide(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v[secretMark] != nil {
			return "[secret]"
		}
		out := map[string]any{}
		for key, member := range v {
			out[key] = hide(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = hide(v[i])
		}
		return out
	default:
		return v
	}
}

func (r *policyCheckResult) err() error {
	switch {
	case len(r.Violations) > 0:
		return fault.Refused
	case len(r.Unseen) > 0:
		return fault.Inconclusive
	default:
		return nil
	}
}

func (r *policyCheckResult) blocks() []term.Block {
	what := r.Judged + " " + r.Source + ": " + counted(r.Rules, "rule") + " on " + counted(r.Resources, "resource")
	if len(r.Violations) == 0 {
		v := term.Pass
		if len(r.Unseen) > 0 {
			v = term.Inconclusive
		}
		return append([]term.Block{term.Headline(v, what+", nothing is broken")}, unseenLines(r.Unseen)...)
	}
	rows := term.Rows{Columns: []string{"rule", "resource", "broken by"}}
	for _, v := range r.Violations {
		rows.Rows = append(rows.Rows, term.Row(v.Rule, v.Resource, v.Message))
	}
	blocks := []term.Block{term.Headline(term.Fail, what+", "+counted(len(r.Violations), "violation")), rows}
	return append(append(blocks, unseenLines(r.Unseen)...), term.Hint("cogctl policy explain "+r.Violations[0].Rule))
}
