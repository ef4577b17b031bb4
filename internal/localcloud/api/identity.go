package api

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) identity() []endpoint {
	anyone := permission{}
	return []endpoint{
		{method: "GET", pattern: "/user/tokens/verify", permission: anyone, handle: s.verifyToken},
		{method: "GET", pattern: "/accounts/{account}/tokens/verify", permission: anyone, handle: s.verifyToken},
		{method: "GET", pattern: "/user/tokens/permission_groups", permission: reads(groupTokens), handle: s.listPermissionGroups},
		{method: "GET", pattern: "/user/tokens", permission: reads(groupTokens), handle: s.listTokens},
		{method: "POST", pattern: "/user/tokens", permission: writes(groupTokens), handle: s.createToken},
		{method: "DELETE", pattern: "/user/tokens/{token}", permission: writes(groupTokens), handle: s.deleteToken},
		{method: "GET", pattern: "/user", permission: anyone, handle: s.getUser},
		{method: "GET", pattern: "/accounts", permission: anyone, handle: s.listAccounts},
		{method: "GET", pattern: "/accounts/{account}", permission: anyone, handle: s.getAccount},
		{method: "GET", pattern: "/memberships", permission: anyone, handle: s.listMemberships},
	}
}

func (s *server) verifyToken(c *call) (any, error) {
	return map[string]string{"id": c.token.ID, "status": c.token.Status}, nil
}

func (s *server) getUser(c *call) (any, error) {
	return map[string]any{"id": c.token.ID, "email": "operator@" + s.AccountName + ".localhost", "two_factor_authentication_enabled": false, "suspended": false}, nil
}

type account struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Type     string         `json:"type"`
	Settings map[string]any `json:"settings"`
	Created  time.Time      `json:"created_on"`
}

func (s *server) account() account {
	return account{s.AccountID, s.AccountName, "standard", map[string]any{"enforce_twofactor": false}, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (s *server) listAccounts(c *call) (any, error) {
	all := []account{s.account()}
	if name := c.query("name"); name != "" && name != s.AccountName {
		all = nil
	}
	return paginate(c, all, 20, 50), nil
}

func (s *server) getAccount(*call) (any, error) { return s.account(), nil }

func (s *server) listMemberships(c *call) (any, error) {
	return paginate(c, []map[string]any{{
		"id": s.AccountID, "status": "accepted", "account": s.account(), "roles": []string{"Administrator"}, "permissions": map[string]any{},
	}}, 20, 50), nil
}

type permissionGroup struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Scopes []string `json:"scopes,omitempty"`
}

func groupNamed(name string) permissionGroup {
	scope := "com.cloudflare.api.account"
	if zoned := []string{groupDNS, groupZone, groupRoutes, groupRules, groupPageRules}; slices.ContainsFunc(zoned, func(g string) bool { return strings.HasPrefix(name, g+" ") }) {
		scope += ".zone"
	}
	sum := md5.Sum([]byte(name)) // an id, not a secret
	return permissionGroup{hex.EncodeToString(sum[:]), name, []string{scope}}
}

func (s *server) listPermissionGroups(*call) (any, error) {
	var groups []permissionGroup
	for _, name := range permissionGroups() {
		groups = append(groups, groupNamed(name))
	}
	return groups, nil
}

func (s *server) listTokens(c *call) (any, error) {
	all, err := readAll[store.Token](s, store.Tokens, "")
	if err != nil {
		return nil, err
	}
	var views []map[string]any
	for _, t := range all {
		views = append(views, tokenView(t))
	}
	return paginate(c, views, 20, 50), nil
}

func tokenView(t store.Token) map[string]any {
	groups := []permissionGroup{}
	for _, name := range t.Permissions {
		groups = append(groups, groupNamed(name))
	}
	return map[string]any{"id": t.ID, "name": t.Name, "status": t.Status, "policies": []map[string]any{{
		"effect": "allow", "resources": map[string]string{"com.cloudflare.api.account.*": "*"}, "permission_groups": groups,
	}}}
}

type tokenRequest struct {
	Name     string `json:"name"`
	Policies []struct {
		Effect    string            `json:"effect"`
		Resources map[string]any    `json:"resources"`
		Groups    []permissionGroup `json:"permission_groups"`
	} `json:"policies"`
	Condition any     `json:"condition"`
	NotBefore *string `json:"not_before"`
	ExpiresOn *string `json:"expires_on"`
}

// createToken mints a token that can do no more than the one that asks; its value is in this answer and nowhere else.
func (s *server) createToken(c *call) (any, error) {
	var req tokenRequest
	if err := c.decodeAs(9207, &req); err != nil {
		return nil, err
	}
	names, err := s.tokenPermissions(req)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		group, level := name[:strings.LastIndex(name, " ")], strings.HasSuffix(name, " Write")
		if !allows(c.token, permission{group, level}) {
			return nil, fail(http.StatusForbidden, 9109, "Unauthorized to access requested resource: this token does not hold %q itself", name)
		}
	}
	secret := newSecret()
	t := store.Token{ID: newID(), Name: req.Name, Status: "active", Permissions: names}
	if err := s.Store.Update(func(tx *store.Tx) error { return tx.Put(store.Tokens, HashToken(secret), t) }); err != nil {
		return nil, err
	}
	view := tokenView(t)
	view["value"] = secret
	return view, nil
}

// tokenPermissions refuses what it could not enforce: a token must never be wider than its request said.
func (s *server) tokenPermissions(req tokenRequest) ([]string, error) {
	if req.Name == "" || len(req.Policies) == 0 {
		return nil, bad(1001, "Invalid request: a name and at least one policy are required")
	}
	if req.Condition != nil || req.NotBefore != nil || req.ExpiresOn != nil {
		return nil, fail(http.StatusNotImplemented, codeNotEmulated, "token conditions and expiry are not emulated by the local cloud")
	}
	var names []string
	for _, policy := range req.Policies {
		if policy.Effect != "allow" {
			return nil, fail(http.StatusNotImplemented, codeNotEmulated, "deny policies are not emulated by the local cloud")
		}
		for resource := range policy.Resources {
			if !s.wholeAccount(resource) {
				return nil, fail(http.StatusNotImplemented, codeNotEmulated, "a token for %s alone is not emulated by the local cloud", resource)
			}
		}
		for _, g := range policy.Groups {
			name, err := groupName(g)
			if err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (s *server) wholeAccount(resource string) bool {
	return slices.Contains([]string{"com.cloudflare.api.account.*", "com.cloudflare.api.account." + s.AccountID, "com.cloudflare.api.account.zone.*"}, resource)
}

func groupName(g permissionGroup) (string, error) {
	for _, name := range permissionGroups() {
		if g.ID == groupNamed(name).ID || g.ID == "" && g.Name == name {
			return name, nil
		}
	}
	return "", bad(1001, "Invalid permission group %q %q", g.ID, g.Name)
}

func (s *server) deleteToken(c *call) (any, error) {
	id := c.param("token")
	err := s.Store.Update(func(tx *store.Tx) error {
		var hash string
		err := tx.Each(store.Tokens, "", func(key string, raw []byte) error {
			t, err := decodeStored[store.Token](raw)
			if err == nil && t.ID == id {
				hash = key
			}
			return err
		})
		if err != nil {
			return err
		}
		if hash == "" {
			return missing(1003, "Invalid API Token ID")
		}
		return tx.Delete(store.Tokens, hash)
	})
	return map[string]string{"id": id}, err
}

// newSecret has the 40 characters of [A-Za-z0-9_-] that Cloudflare's Terraform provider insists on.
func newSecret() string {
	var random [30]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(random[:])
}
