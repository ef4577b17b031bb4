package contract

import (
	"slices"
	"time"
)

// Auth is how callers prove who they are, and how long every copy of a key lives.
type Auth struct {
	Token      Token           `json:"token"`
	JWKS       JWKS            `json:"jwks"`
	Signing    Signing         `json:"signing"`
	Verified   Verified        `json:"verified"`
	Refresh    Refresh         `json:"refresh"`
	Revocation Revocation      `json:"revocation"`
	Turnstile  Turnstile       `json:"turnstile"`
	Admin      Admin           `json:"admin"`
	Roles      map[string]Role `json:"roles"`

	SignedURLs SignedURLs `json:"signed_urls"`
}

// SignedURLs bounds how long a URL that needs no token is good for.
type SignedURLs struct {
	Why          string `json:"why"`
	DefaultLifeS int    `json:"default_life_s"`
	MaxLifeS     int    `json:"max_life_s"`
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

// Signing says where private keys are kept, and how long a change of them takes to be everywhere.
type Signing struct {
	Why          string          `json:"why"`
	Worker       string          `json:"worker"`
	Pointer      string          `json:"pointer"` // the secret that says slot:kid
	Slots        map[string]Slot `json:"slots"`
	PropagationS int             `json:"propagation_s"` // after a secret was written, until no isolate runs without it
	MarginS      int             `json:"margin_s"`      // added to every wait of a rotation
}

// Slot is a place for one private key: the secrets that hold the key and its name.
type Slot struct {
	Why string `json:"why"`
	Key string `json:"key"`
	KID string `json:"kid"`
}

// FirstSlot signs where there is no pointer.
const FirstSlot = "a"

// Names lists the secrets that rotation owns once they are there.
func (s Signing) Names() []string {
	names := []string{s.Pointer}
	for _, slot := range sorted(s.Slots) {
		names = append(names, s.Slots[slot].Key, s.Slots[slot].KID)
	}
	slices.Sort(names)
	return names
}

// Verified bounds the memory of verified tokens.
type Verified struct {
	Why        string `json:"why"`
	MaxEntries int    `json:"max_entries"`
}

// Refresh says how long a sign-in may be gone on with.
type Refresh struct {
	Why    string `json:"why"`
	LifeS  int    `json:"life_s"`
	Prefix string `json:"prefix"` // by which a refresh token is known from other secrets
}

// Revocation bounds how long a revoked token may still be accepted somewhere.
type Revocation struct {
	Why        string `json:"why"`
	UsualS     int    `json:"usual_s"` // while KV answers
	BoundS     int    `json:"bound_s"` // whatever happens
	MaxEntries int    `json:"max_entries"`
}

// Turnstile says what a response must be for.
type Turnstile struct {
	Why       string `json:"why"`
	Action    string `json:"action"`
	TimeoutMS int    `json:"timeout_ms"`
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
