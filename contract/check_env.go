package contract

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// checkAuth sees that the times of keys and tokens leave a rotation that refuses no valid token.
func checkAuth(c *Contract, rep *report) {
	const file = "auth.json"
	t, j := c.Auth.Token, c.Auth.JWKS
	for _, rule := range []struct {
		broken bool
		path   string
		msg    string
	}{
		{t.Alg != "RS256", "token.alg", "is not RS256, the one algorithm that verifiers are pinned to"},
		{t.MinModulusBits < 2048, "token.min_modulus_bits", "is under 2048, which RS256 requires (RFC 7518, 3.3)"},
		{t.LifeS == 0, "token.life_s", "is 0: every token would be born expired"},
		{t.ClockSkewS >= t.LifeS, "token.clock_skew_s", "is not less than token.life_s: an expired token would count as fresh"},
		{t.ClockSkewS > 300, "token.clock_skew_s", "is over 300: clocks are not that wrong"},
		{t.Cookie == "" || strings.ContainsAny(t.Cookie, "=;, "), "token.cookie", "is no cookie name"},
		{t.MaxBytes < 1024, "token.max_bytes", "is under 1024, less than a token of ours needs"},
		{j.MaxAgeS == 0, "jwks.max_age_s", "is 0: every verification would fetch the keys"},
		{j.GatewayCacheS == 0, "jwks.gateway_cache_s", "is 0: every request would read KV"},
		{j.GatewayCacheS > j.MaxAgeS, "jwks.gateway_cache_s", "is over jwks.max_age_s: the gateway would hold keys longer than it tells others to"},
		{j.UnknownKidRefetchS == 0, "jwks.unknown_kid_refetch_s", "is 0: forged key ids could make the gateway read KV without end"},
		{j.KVVisibilityMinS > j.KVVisibilityMaxS, "jwks.kv_visibility_min_s", "is over jwks.kv_visibility_max_s"},
		{j.MaxKeys < 2, "jwks.max_keys", "is under 2: a rotation publishes two"},
		{c.Auth.SignedURLs.DefaultLifeS < 1 || c.Auth.SignedURLs.DefaultLifeS > c.Auth.SignedURLs.MaxLifeS, "signed_urls.default_life_s", "is not 1 to max_life_s"},
		{c.Auth.Verified.MaxEntries == 0, "verified.max_entries", "is 0: every request would verify its token anew"},
		{c.Auth.Refresh.LifeS <= t.LifeS, "refresh.life_s", "is not over token.life_s: a refresh token would end before what it renews"},
		{!refreshPrefix.MatchString(c.Auth.Refresh.Prefix), "refresh.prefix", "is no prefix: lower-case letters and _ with a _ at the end"},
		{c.Auth.Revocation.UsualS != j.KVVisibilityMaxS+j.GatewayCacheS, "revocation.usual_s", "is not jwks.kv_visibility_max_s + jwks.gateway_cache_s, what it takes"},
		{c.Auth.Revocation.BoundS != j.KVVisibilityMaxS+j.MaxAgeS, "revocation.bound_s", "is not jwks.kv_visibility_max_s + jwks.max_age_s, the oldest copy that the gateway uses"},
		{c.Auth.Revocation.MaxEntries == 0, "revocation.max_entries", "is 0: nothing could be revoked"},
		{c.Auth.Turnstile.Action == "", "turnstile.action", "is empty: a response for another form would count"},
		{c.Auth.Turnstile.TimeoutMS == 0 || c.Auth.Turnstile.TimeoutMS >= c.HTTP.Limits.ServiceTimeoutMS, "turnstile.timeout_ms", "is 0 or not under limits.service_timeout_ms of http.json"},
		{len(c.Auth.Admin.Headers) == 0, "admin.headers", "is empty"},
	} {
		if rule.broken {
			rep.addf(file, rule.path, "%s", rule.msg)
		}
	}
	checkSigning(c, rep)
	for i, h := range c.Auth.Admin.Headers {
		if !slices.Contains(c.HTTP.CORS.AllowHeaders, h) {
			rep.addf(file, index("admin.headers", i), "%s is not among cors.allow_headers of http.json", h)
		}
	}
}

var refreshPrefix = regexp.MustCompile(`^[a-z_]+_$`)

// checkSigning sees that every slot is a secret of the Worker that signs, and that the slot of a new platform must be given.
func checkSigning(c *Contract, rep *report) {
	const file, at = "auth.json", "signing"
	s := c.Auth.Signing
	bindings := c.Workers[s.Worker].Bindings
	if _, ok := c.Workers[s.Worker]; !ok {
		rep.addf(file, join(at, "worker"), "names Worker %q, which workers.json does not have", s.Worker)
		return
	}
	first, ok := s.Slots[FirstSlot]
	if !ok || len(s.Slots) != 2 {
		rep.addf(file, join(at, "slots"), "are %d, want two, and one of them named %s: the next key waits beside the one that signs", len(s.Slots), FirstSlot)
	}
	seen := map[string]bool{}
	for _, name := range s.Names() {
		b, declared := bindings[name]
		if !declared || b.Kind() != BindSecret {
			rep.addf(file, at, "names %q, which is not a secret of %s in workers.json", name, s.Worker)
		} else if given := name == first.Key || name == first.KID; given == b.Optional {
			rep.addf("workers.json", join(join(join(s.Worker, "bindings"), name), "optional"), "must be %t: a platform starts with slot %s alone", !given, FirstSlot)
		}
		if seen[name] {
			rep.addf(file, at, "uses %s twice", name)
		}
		seen[name] = true
	}
}

var (
	hostname  = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	accountID = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

// checkEnvs sees that environments keep apart and that each is whole.
func checkEnvs(c *Contract, rep *report) {
	const file = "envs.json"
	if _, ok := c.Envs["local"]; !ok {
		rep.addf(file, "", "has no local environment")
	}
	owner := map[string]string{}
	for _, name := range sorted(c.Envs) {
		e := c.Envs[name]
		if first, taken := owner[e.Hostname]; taken {
			rep.addf(file, join(name, "hostname"), "%s already belongs to %s", e.Hostname, first)
		}
		owner[e.Hostname] = name
		if !hostname.MatchString(e.Hostname) {
			rep.addf(file, join(name, "hostname"), "%q is no lower-case DNS name", e.Hostname)
		}
		if !strings.HasSuffix(e.Hostname, "."+e.Zone) {
			rep.addf(file, join(name, "zone"), "%q does not hold %s", e.Zone, e.Hostname)
		}
		if e.Issuer != "https://"+e.Hostname {
			rep.addf(file, join(name, "issuer"), "is %q, want %q: the issuer is where the keys are", e.Issuer, "https://"+e.Hostname)
		}
		if e.AccountID != "" && !accountID.MatchString(e.AccountID) {
			rep.addf(file, join(name, "account_id"), "%q is not 32 hex digits", e.AccountID)
		}
		for _, base := range []struct{ key, url string }{{"groq_base", e.GroqBase}, {"openai_base", e.OpenAIBase}} {
			if u, err := url.Parse(base.url); err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || strings.HasSuffix(base.url, "/") {
				rep.addf(file, join(name, base.key), "is %q, want https://host/path without a slash at the end", base.url)
			} else if isLoopback(u.Hostname()) != (name == "local") {
				rep.addf(file, join(name, base.key), "is %q: doubles are for local, and local for doubles", base.url)
			}
		}
		if e.APIURL == "" && name != "local" {
			rep.addf(file, join(name, "api_url"), "is empty, which only local may be")
		}
	}
}

// checkOrigins sees that origins are spelt as browsers send them, since they are compared byte by byte.
func checkOrigins(c *Contract, rep *report) {
	const file = "envs.json"
	for _, name := range sorted(c.Envs) {
		origins := c.Envs[name].Origins
		for i, o := range origins {
			at := index(join(name, "origins"), i)
			u, err := url.Parse(o)
			if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != o || strings.ToLower(o) != o || strings.Contains(o, "*") {
				rep.addf(file, at, "%q is no exact origin: scheme://host[:port] in lower case, no path, no wildcard", o)
				continue
			}
			loopback := isLoopback(u.Hostname())
			if loopback && name == "production" {
				rep.addf(file, at, "%s is on the caller's own machine: any program there could call production", o)
			}
			if u.Scheme != "https" && !loopback {
				rep.addf(file, at, "%s is not https", o)
			}
			if slices.Index(origins, o) != i {
				rep.addf(file, at, "%s is listed twice", o)
			}
		}
	}
}

func isLoopback(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasPrefix(host, "127.") || host == "::1"
}
