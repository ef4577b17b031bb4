package contract

import "time"

// Auth is how callers prove who they are, and how long every copy of a key lives.
type Auth struct {
	Token    Token           `json:"token"`
	JWKS     JWKS            `json:"jwks"`
	Verified Verified        `json:"verified"`
	Admin    Admin           `json:"admin"`
	Roles    map[string]Role `json:"roles"`
}

// Token says what a token of ours looks like.
type Token struct {
	Why            string `json:"why"`
	Alg            string `json:"alg"`
	MinModulusBits int    `json:"min_modulus_bits"`
	LifeS          int    `json:"life_s"`
	ClockSkewS     int    `json:"clock_skew_s"`
	Cookie         string `json:"cookie"`
	MaxBytes       int    `json:"max_bytes"`
}

// JWKS bounds how long an old key set may be seen.
type JWKS struct {
	Why                string `json:"why"`
	MaxAgeS            int    `json:"max_age_s"`       // of the public document, and the oldest copy the gateway uses when KV fails
	GatewayCacheS      int    `json:"gateway_cache_s"` // after which the gateway reads KV again
	UnknownKidRefetchS int    `json:"unknown_kid_refetch_s"`
	KVVisibilityMinS   int    `json:"kv_visibility_min_s"`
	KVVisibilityMaxS   int    `json:"kv_visibility_max_s"`
	MaxKeys            int    `json:"max_keys"`
}

// Verified bounds the memory of verified tokens.
type Verified struct {
	Why        string `json:"why"`
	MaxEntries int    `json:"max_entries"`
}

// Admin names the headers that carry the admin key.
type Admin struct {
	Why     string   `json:"why"`
	Headers []string `json:"headers"`
}

// Role is a value of a token's role claim.
type Role struct {
	Why string `json:"why"`
}

// SeenEverywhere is how long after a key is published every reader of the JWKS has it: only then may it sign.
func (a Auth) SeenEverywhere() time.Duration {
	return seconds(a.JWKS.KVVisibilityMaxS + a.JWKS.MaxAgeS + a.JWKS.GatewayCacheS)
}

// Unneeded is how long after a key stops signing no valid token can carry it: only then may it leave the JWKS.
func (a Auth) Unneeded() time.Duration { return seconds(a.Token.LifeS + a.Token.ClockSkewS) }

// ForgottenAfter is how long after a key left the JWKS a token it signed may still be accepted somewhere.
func (a Auth) ForgottenAfter() time.Duration {
	return seconds(a.JWKS.KVVisibilityMaxS + a.JWKS.MaxAgeS)
}
