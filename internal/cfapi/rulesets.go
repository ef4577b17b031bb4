package cfapi

import (
	"context"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/internal/fault"
)

// The phases whose rules answer before any Worker can.
const (
	PhaseDynamicRedirect = "http_request_dynamic_redirect" // of a zone
	PhaseBulkRedirect    = "http_request_redirect"         // of the account
)

// Rule is one rule of a ruleset.
type Rule struct {
	ID          string `json:"id"`
	Action      string `json:"action"`
	Expression  string `json:"expression"`
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
	Target      string `json:"target,omitempty"` // where a redirect goes: a URL, an expression, or a list's name
}

// ZoneRules reads the entrypoint rules of a zone's phase; a phase that was never configured has none.
func (c *Client) ZoneRules(ctx context.Context, zoneID, phase string) ([]Rule, error) {
	return c.rules(ctx, cloudflare.ZoneIdentifier(zoneID), phase)
}

// AccountRules reads the entrypoint rules of an account's phase; a phase that was never configured has none.
func (c *Client) AccountRules(ctx context.Context, phase string) ([]Rule, error) {
	return c.rules(ctx, c.rcAccount(), phase)
}

func (c *Client) rules(ctx context.Context, rc *cloudflare.ResourceContainer, phase string) ([]Rule, error) {
	set, err := c.api.GetEntrypointRuleset(ctx, rc, phase)
	if err != nil {
		err = fail("read the rules of phase "+phase, err)
		if fault.KindOf(err) == fault.NotFound {
			return nil, nil
		}
		return nil, err
	}
	rules := make([]Rule, len(set.Rules))
	for i, r := range set.Rules {
		rules[i] = Rule{
			ID: r.ID, Action: r.Action, Expression: r.Expression, Description: r.Description,
			Enabled: r.Enabled == nil || *r.Enabled, Target: target(r.ActionParameters),
		}
	}
	return rules, nil
}

func target(p *cloudflare.RulesetRuleActionParameters) string {
	switch {
	case p == nil:
		return ""
	case p.FromValue != nil && p.FromValue.TargetURL.Value != "":
		return p.FromValue.TargetURL.Value
	case p.FromValue != nil:
		return p.FromValue.TargetURL.Expression
	case p.FromList != nil:
		return p.FromList.Name
	default:
		return ""
	}
}
