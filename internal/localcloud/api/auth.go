package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// permission is what an endpoint asks of a token: a permission group and whether it writes.
type permission struct {
	group string // Cloudflare's group name without its last word; empty asks only for a valid token
	write bool
}

func reads(group string) permission  { return permission{group, false} }
func writes(group string) permission { return permission{group, true} }

// The permission groups, named as Cloudflare names them without the closing Read or Write.
const (
	groupScripts    = "Workers Scripts"
	groupRoutes     = "Workers Routes"
	groupKV         = "Workers KV Storage"
	groupR2         = "Workers R2 Storage"
	groupQueues     = "Queues"
	groupDNS        = "DNS"
	groupZone       = "Zone"
	groupHyperdrive = "Hyperdrive"
	groupPages      = "Pages"
	groupAccount    = "Account Settings"
	groupAnalytics  = "Account Analytics"
	groupTokens     = "API Tokens"
	groupRules      = "Dynamic URL Redirects"
	groupPageRules  = "Page Rules"
	groupTail       = "Workers Tail"
)

func permissionGroups() []string {
	groups := []string{groupScripts, groupRoutes, groupKV, groupR2, groupQueues, groupDNS, groupZone, groupHyperdrive, groupPages,
		groupAccount, groupAnalytics, groupTokens, groupRules, groupPageRules, groupTail}
	var names []string
	for _, g := range groups {
		names = append(names, g+" Read", g+" Write")
	}
	slices.Sort(names)
	return names
}

// HashToken is the id under which the store keeps a token: the secret itself is never stored.
func HashToken(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func (s *server) authenticate(r *http.Request) (store.Token, string, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return store.Token{}, "", bad(9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
	}
	secret, ok := strings.CutPrefix(header, "Bearer ")
	if !ok || secret == "" || len(r.Header.Values("Authorization")) != 1 {
		e := bad(6003, "Invalid request headers")
		e.More = []message{{6111, "Invalid format for Authorization header"}}
		return store.Token{}, "", e
	}
	hash := HashToken(secret)
	token, err := s.lookUp(hash)
	if errors.Is(err, fault.NotFound) {
		return token, "", unknownToken(r)
	}
	if err != nil {
		return token, "", err
	}
	if token.Status != "active" {
		return token, "", unknownToken(r)
	}
	return token, hash, nil
}

// lookUp compares digests in constant time over every token: which one came close must not show in the time it takes.
func (s *server) lookUp(hash string) (store.Token, error) {
	var found []byte
	err := s.Store.View(func(tx *store.Tx) error {
		return tx.Each(store.Tokens, "", func(id string, raw []byte) error {
			if subtle.ConstantTimeCompare([]byte(id), []byte(hash)) == 1 {
				found = slices.Clone(raw)
			}
			return nil
		})
	})
	if err != nil {
		return store.Token{}, err
	}
	if found == nil {
		return store.Token{}, fault.New(fault.NotFound, "no such token")
	}
	return decodeStored[store.Token](found)
}

func unknownToken(r *http.Request) error {
	if strings.HasSuffix(r.URL.Path, "/tokens/verify") {
		return fail(http.StatusUnauthorized, 1000, "Invalid API Token")
	}
	return fail(http.StatusForbidden, 9109, "Invalid access token")
}

// authorise checks the account, the zone and the token's permission groups, in that order.
func (s *server) authorise(token store.Token, e endpoint, params map[string]string) error {
	if account, ok := params["account"]; ok && !strings.EqualFold(account, s.AccountID) {
		return fail(http.StatusForbidden, 10000, "Authentication error")
	}
	if zone, ok := params["zone"]; ok {
		if _, err := s.zone(zone); err != nil {
			return orMissing(err, fail(http.StatusForbidden, 9109, "Unauthorized to access requested resource"))
		}
	}
	if !allows(token, e.permission) {
		return denied(e)
	}
	return nil
}

// denied answers as the family does: Workers' own services say 10000, the core API says 9109.
func denied(e endpoint) error {
	if strings.HasPrefix(e.pattern, "/accounts/{account}/") || strings.Contains(e.pattern, "/workers/") || strings.Contains(e.pattern, "/dns_records") {
		return fail(http.StatusForbidden, 10000, "Authentication error")
	}
	return fail(http.StatusForbidden, 9109, "Unauthorized to access requested resource")
}

func allows(token store.Token, p permission) bool {
	if p.group == "" || slices.Contains(token.Permissions, "*") || slices.Contains(token.Permissions, p.group+" Write") {
		return true
	}
	return !p.write && slices.Contains(token.Permissions, p.group+" Read")
}
