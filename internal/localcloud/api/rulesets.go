package api

import (
	"encoding/json"
	"strings"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) rulesets() []endpoint {
	var all []endpoint
	for _, root := range []string{"/accounts/{account}/rulesets", "/zones/{zone}/rulesets"} {
		entry := root + "/phases/{phase}/entrypoint"
		all = append(all,
			endpoint{method: "GET", pattern: root, permission: reads(groupRules), handle: s.listRulesets},
			endpoint{method: "GET", pattern: entry, permission: reads(groupRules), handle: s.getEntrypoint},
			endpoint{method: "PUT", pattern: entry, permission: writes(groupRules), handle: s.putEntrypoint},
			endpoint{method: "DELETE", pattern: root + "/{ruleset}", permission: writes(groupRules), handle: s.deleteRuleset},
		)
	}
	return append(all,
		endpoint{method: "GET", pattern: "/zones/{zone}/pagerules", permission: reads(groupPageRules), handle: s.listPageRules},
		endpoint{method: "POST", pattern: "/zones/{zone}/pagerules", permission: writes(groupPageRules), handle: s.createPageRule},
		endpoint{method: "DELETE", pattern: "/zones/{zone}/pagerules/{rule}", permission: writes(groupPageRules), handle: s.deletePageRule},
	)
}

type rulesetView struct {
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Kind    string          `json:"kind"`
	Phase   string          `json:"phase"`
	Version string          `json:"version"`
	Rules   json.RawMessage `json:"rules,omitempty"`
}

func viewRuleset(r store.Ruleset) rulesetView {
	kind := "zone"
	if r.ZoneID == "" {
		kind = "root"
	}
	return rulesetView{r.ID, "default", kind, r.Phase, "1", r.Rules}
}

// rulesetScope is the zone of the call, or nothing for the account.
func rulesetScope(c *call) string { return strings.ToLower(c.param("zone")) }

func (s *server) listRulesets(c *call) (any, error) {
	all, err := readAll[store.Ruleset](s, store.Rulesets, rulesetScope(c)+"/")
	views := []rulesetView{}
	for _, r := range all {
		v := viewRuleset(r)
		v.Rules = nil // only a single read gives the rules
		views = append(views, v)
	}
	return views, err
}

func (s *server) getEntrypoint(c *call) (any, error) {
	r, err := read[store.Ruleset](s, store.Rulesets, rulesetScope(c)+"/"+c.param("phase"))
	if err != nil {
		return nil, orMissing(err, missing(10003, "could not find entrypoint ruleset in the %s phase", c.param("phase")))
	}
	return viewRuleset(r), nil
}

func (s *server) putEntrypoint(c *call) (any, error) {
	var req struct {
		Rules []map[string]any `json:"rules"`
	}
	if err := c.decodeAs(20080, &req); err != nil {
		return nil, err
	}
	for i, rule := range req.Rules {
		if rule["action"] == nil || rule["expression"] == nil {
			return nil, bad(20080, "rule %d needs an action and an expression", i)
		}
		if rule["id"] == nil {
			rule["id"] = newID()
		}
	}
	rules, err := json.Marshal(orEmpty(req.Rules))
	if err != nil {
		return nil, err
	}
	r := store.Ruleset{ID: newID(), ZoneID: rulesetScope(c), Phase: c.param("phase"), Rules: rules}
	err = s.Store.Update(func(tx *store.Tx) error {
		key := r.ZoneID + "/" + r.Phase
		var old store.Ruleset
		err := tx.Get(store.Rulesets, key, &old)
		if err == nil {
			r.ID = old.ID
		} else if !isMissing(err) {
			return err
		}
		return tx.Put(store.Rulesets, key, r)
	})
	return viewRuleset(r), err
}

func (s *server) deleteRuleset(c *call) (any, error) {
	return nil, s.Store.Update(func(tx *store.Tx) error {
		r, err := find(tx, store.Rulesets, rulesetScope(c)+"/", func(r store.Ruleset) bool { return r.ID == c.param("ruleset") })
		if err != nil {
			return orMissing(err, missing(10001, "could not find ruleset"))
		}
		return tx.Delete(store.Rulesets, r.ZoneID+"/"+r.Phase)
	})
}

func pageRuleKey(c *call, id string) string { return "pagerules/" + rulesetScope(c) + "/" + id }

func (s *server) listPageRules(c *call) (any, error) {
	all, err := readAll[map[string]any](s, store.Settings, pageRuleKey(c, ""))
	return orEmpty(all), err
}

func (s *server) createPageRule(c *call) (any, error) {
	var rule map[string]any
	if err := c.decodeAs(1004, &rule); err != nil {
		return nil, err
	}
	if rule["targets"] == nil || rule["actions"] == nil {
		return nil, bad(1004, "Page Rule validation failed: targets and actions are required")
	}
	now, id := s.now(), newID()
	rule["id"], rule["created_on"], rule["modified_on"] = id, now, now
	if rule["status"] == nil {
		rule["status"] = "disabled"
	}
	return rule, s.Store.Update(func(tx *store.Tx) error { return tx.Put(store.Settings, pageRuleKey(c, id), rule) })
}

func (s *server) deletePageRule(c *call) (any, error) {
	err := s.Store.Update(func(tx *store.Tx) error {
		return orMissing(tx.Delete(store.Settings, pageRuleKey(c, c.param("rule"))), missing(1002, "Invalid Page Rule identifier"))
	})
	return map[string]string{"id": c.param("rule")}, err
}
