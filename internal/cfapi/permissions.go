package cfapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Codes of the API that mean more than their HTTP status says, from cloudflare-go, wrangler and Cloudflare's documentation.
var (
	conflictCodes = []int{10020, 11004, 10014, 10004, 10036, 100116, 100117, 81057, 81058, 11009, 8000002, 8000018, 10064, 10142, 10215}
	missingCodes  = []int{10007, 10090, 100114, 8000007, 8000021, 10336}
	tokenCodes    = []int{1000, 1001, 6003, 6111, 9106}
	accessCodes   = []int{10000, 9109}
)

func kindOf(r *Refusal) fault.Kind {
	switch {
	case slices.Contains(tokenCodes, r.Code()) && r.Status < 500:
		return fault.Unauthenticated
	case slices.Contains(conflictCodes, r.Code()), r.Status == http.StatusConflict:
		return fault.Conflict
	case slices.Contains(missingCodes, r.Code()), r.Status == http.StatusNotFound:
		return fault.NotFound
	case r.Status == http.StatusUnauthorized:
		return fault.Unauthenticated
	case r.Status == http.StatusForbidden:
		return fault.Denied
	case r.Status == http.StatusRequestEntityTooLarge:
		return fault.TooLarge
	case r.Status == http.StatusNotImplemented:
		return fault.Unsupported
	case r.passing():
		return fault.Unavailable
	default:
		return fault.Invalid
	}
}

func hintFor(r *Refusal) string {
	switch {
	case r.Code() == 10215:
		return "somebody uploaded a version of the Worker and did not deploy it: deploy it or an older one (`cogctl up`), then try again"
	case r.Status == http.StatusTooManyRequests && r.RetryAfter > 0:
		return fmt.Sprintf("the account's request budget is used up; try again in %s", r.RetryAfter)
	case r.Status == http.StatusTooManyRequests:
		return "the account's request budget (1,200 in 5 minutes) is used up; try again in 5 minutes"
	case slices.Contains(tokenCodes, r.Code()):
		return "the API token is not valid: check CLOUDFLARE_API_TOKEN, or make a new token in the dashboard under My Profile > API Tokens"
	case slices.Contains(accessCodes, r.Code()), r.Status == http.StatusForbidden, r.Status == http.StatusUnauthorized:
		if needed := Permission(r.Method, r.Path); needed != "" {
			return fmt.Sprintf("the token is wrong, or lacks '%s' on this account or zone", needed)
		}
		return "the token is wrong, or lacks a permission for this call"
	default:
		return ""
	}
}

// permissions maps a part of a path to the permission group it needs, most telling part first.
var permissions = []struct{ part, group, level string }{
	{"/workers/routes", "Workers Routes", "Zone"},
	{"/dns_records", "DNS", "Zone"},
	{"/rulesets/phases/http_request_dynamic_redirect", "Dynamic URL Redirects", "Zone"},
	{"/rulesets/phases/http_request_redirect", "Mass URL Redirects", "Account"},
	{"/pagerules", "Page Rules", "Zone"},
	{"/rulesets", "Account Rulesets", "Account"},
	{"/storage/kv", "Workers KV Storage", "Account"},
	{"/r2/", "Workers R2 Storage", "Account"},
	{"/queues", "Queues", "Account"},
	{"/hyperdrive", "Hyperdrive", "Account"},
	{"/pages/", "Cloudflare Pages", "Account"},
	{"/graphql", "Account Analytics", "Account"},
	{"/workers/", "Workers Scripts", "Account"},
	{"/zones", "Zone", "Zone"},
	{"/accounts", "Account Settings", "Account"},
}

// Permission names the token permission a call needs, as Cloudflare's dashboard writes it: "Zone: Workers Routes: Edit".
func Permission(method, path string) string {
	verb := "Edit"
	if method == http.MethodGet || method == http.MethodHead || strings.HasSuffix(path, "/graphql") {
		verb = "Read"
	}
	for _, p := range permissions {
		if strings.Contains(path, p.part) {
			return fmt.Sprintf("%s: %s: %s", p.level, p.group, verb)
		}
	}
	return ""
}
