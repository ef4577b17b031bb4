package jwks

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Evidence is the published document, and a fresh token of which everything is kept but what would make it usable.
type Evidence struct {
	At    time.Time  `json:"at"`
	JWKS  Answer     `json:"jwks"`
	Guest *Answer    `json:"guest,omitempty"` // when there was a key set to verify a token with
	Token *KeptToken `json:"token,omitempty"` // when the answer held one
}

// Answer is what a path answered. A token is taken out of its body, and so are private members of keys.
type Answer struct {
	URL          string `json:"url"`
	Status       int    `json:"status"`
	CacheControl string `json:"cache_control"`
	Body         string `json:"body"`
}

// KeptToken is a token's own JSON texts, to the byte, and a proof that a published key signed them.
type KeptToken struct {
	Header string     `json:"header"`
	Claims string     `json:"claims"`
	Signed *Knowledge `json:"signed,omitempty"` // absent when the signature does not verify
}

// scrubbed stands for what was taken out.
const scrubbed = "[scrubbed]"

func keep(url string, res answer) Answer {
	body := strings.ToValidUTF8(string(redact(res.body)), "\uFFFD")
	return Answer{URL: url, Status: res.status, CacheControl: res.header.Get("Cache-Control"), Body: audit.ScrubText(body)}
}

// redact replaces the private members of published keys: the finding needs their names alone.
func redact(body []byte) []byte {
	var doc map[string]any
	if json.Unmarshal(body, &doc) != nil {
		return body
	}
	keys, _ := doc["keys"].([]any)
	found := false
	for _, k := range keys {
		members, _ := k.(map[string]any)
		for name := range members {
			if slices.Contains(privateMembers, name) {
				members[name], found = scrubbed, true
			}
		}
	}
	if !found {
		return body
	}
	again, err := json.Marshal(doc)
	if err != nil {
		return nil
	}
	return again
}

// set reads the key set of a kept answer. Whatever is none is a fault.Finding.
func (a Answer) set() (*Set, error) {
	if a.Status != http.StatusOK {
		return nil, fault.New(fault.Finding, "GET %s answers %d", a.URL, a.Status).WithHint("cogctl audit routes; then cogctl status")
	}
	s, err := parse([]byte(a.Body))
	if err != nil {
		return nil, err
	}
	s.URL, s.CacheControl = a.URL, a.CacheControl
	return s, nil
}

// answer is a kept answer as it was; the token that was taken out has one that says nothing in its place.
func (a Answer) answer() answer {
	return answer{status: a.Status, header: http.Header{}, body: replaceToken([]byte(a.Body), func(token string) bool { return token == scrubbed }, "..")}
}

// withoutToken leaves an answer that can be kept, however its JSON spells the token.
func withoutToken(res answer, token string) answer {
	res.body = replaceToken(res.body, func(t string) bool { return token != "" && t == token }, scrubbed)
	return res
}

func replaceToken(body []byte, is func(string) bool, with string) []byte {
	var doc map[string]any
	if json.Unmarshal(body, &doc) != nil {
		return body
	}
	if token, ok := doc["token"].(string); !ok || !is(token) {
		return body
	}
	doc["token"] = with
	again, err := json.Marshal(doc)
	if err != nil {
		return nil
	}
	return again
}

// fits is an error when the evidence is of another target or time.
func (e Evidence) fits(t *audit.Target) error {
	if want := t.PublicURL(Path); e.JWKS.URL != want {
		return audit.Misfit("it is an answer of %s, not of %s", e.JWKS.URL, want)
	}
	if want := t.PublicURL(guestPath); e.Guest != nil && e.Guest.URL != want && e.Guest.URL != t.PublicURL(mintPath) {
		return audit.Misfit("it is an answer of %s, not of %s", e.Guest.URL, want)
	}
	if e.Guest == nil && e.Token != nil {
		return audit.Misfit("it holds a token from nowhere")
	}
	return t.Recent(e.At)
}

// keepToken takes a token apart and proves its signature with the key it names.
func keepToken(text string, s *Set, a contract.Auth) (*KeptToken, error) {
	if _, err := split(text, a.Token.MaxBytes); err != nil {
		return nil, err
	}
	parts := strings.Split(text, ".")
	header, _ := base64.RawURLEncoding.DecodeString(parts[0]) // split has decoded both
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if !utf8.Valid(header) || !utf8.Valid(claims) {
		return nil, fault.New(fault.Invalid, "not a token: its JSON is not UTF-8")
	}
	kept := &KeptToken{Header: string(header), Claims: string(claims)}
	token, err := split(kept.text()+".", a.Token.MaxBytes)
	if err != nil {
		return nil, err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if key := s.rsaKey(token.KID); err == nil && key != nil {
		kept.Signed, _ = know(key, []byte(kept.text()), signature) // one that does not verify leaves none, which is a finding
	}
	return kept, nil
}

// text is what was signed.
func (k *KeptToken) text() string {
	return base64.RawURLEncoding.EncodeToString([]byte(k.Header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(k.Claims))
}

// inspect judges a kept token as Inspect does a whole one.
func (k *KeptToken) inspect(s *Set, r Rules) (Token, []audit.Finding, error) {
	return inspect(k.text()+".", s, r, func(jwk jose.JSONWebKey) error {
		key, ok := jwk.Key.(*rsa.PublicKey)
		if ok && !provable(key) {
			return fault.New(fault.Finding, "key %s has an exponent or length of which no proof can be kept", jwk.KeyID)
		}
		if !ok || !k.Signed.holds(key, []byte(k.text())) {
			return jose.ErrCryptoFailure
		}
		return nil
	})
}

// rsaKey is the published key of that name, when it is one of RSA.
func (s *Set) rsaKey(kid string) *rsa.PublicKey {
	for _, k := range s.verifier.Keys {
		if k.KeyID == kid && kid != "" {
			key, _ := k.Key.(*rsa.PublicKey)
			return key
		}
	}
	return nil
}
