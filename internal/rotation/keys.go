package rotation

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/cognomega/edge/internal/fault"
)

// keyBits is the size of RFC 7518, section 3.3, for RS256: 2048 or larger.
const keyBits = 2048

// Key is a signing key with both halves. What prints it shows its name alone.
type Key struct {
	KID  string
	jwk  json.RawMessage // the public half
	text string          // PKCS#8 in PEM
}

// String keeps the private half out of every format.
func (k Key) String() string { return "key " + k.KID }

// GoString does the same for %#v.
func (k Key) GoString() string { return k.String() }

// PEM is the private half, for a secret slot and nothing else.
func (k Key) PEM() string { return k.text }

// JWK is the public half.
func (k Key) JWK() json.RawMessage { return k.jwk }

// NewKey makes a signing key.
func NewKey() (Key, error) { return typable(randomKey) }

// typable makes keys until one has a name that does not begin like a flag: operators name keys on a command line. One of 64 does.
func typable(newKey func() (Key, error)) (Key, error) {
	for {
		k, err := newKey()
		if err != nil || !strings.HasPrefix(k.KID, "-") {
			return k, err
		}
	}
}

func randomKey() (Key, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return Key{}, fault.New(fault.Internal, "make a signing key: %w", err)
	}
	return keyOf(private)
}

func keyOf(private *rsa.PrivateKey) (Key, error) {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, fault.New(fault.Internal, "encode the signing key: %w", err)
	}
	return describe(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), &private.PublicKey)
}

// ReadKey reads a signing key from its PEM. The error never quotes it.
func ReadKey(text string) (Key, error) {
	bad := fault.New(fault.Invalid, "the signing key is not a PKCS#8 RSA key of %d bits or more in PEM", keyBits)
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return Key{}, bad
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, bad
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok || private.N.BitLen() < keyBits {
		return Key{}, bad
	}
	return describe(text, &private.PublicKey)
}

// describe names a key by its RFC 7638 thumbprint, so that two keys never share a name.
func describe(text string, public *rsa.PublicKey) (Key, error) {
	jwk := jose.JSONWebKey{Key: public, Algorithm: string(jose.RS256), Use: "sig"}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, fault.New(fault.Internal, "name the signing key: %w", err)
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	raw, err := json.Marshal(jwk)
	if err != nil {
		return Key{}, fault.New(fault.Internal, "encode the public key: %w", err)
	}
	return Key{KID: jwk.KeyID, jwk: raw, text: text}, nil
}

// Set is a key set document of public keys.
func Set(keys ...json.RawMessage) ([]byte, error) {
	raw, err := json.Marshal(struct {
		Keys []json.RawMessage `json:"keys"`
	}{keys})
	if err != nil {
		return nil, fault.New(fault.Internal, "encode the key set: %w", err)
	}
	return raw, nil
}

// published is a key of a key set as it lies in KV.
type published struct {
	kid      string
	modulus  string
	public   json.RawMessage // its public members alone
	isSecret bool            // it has private members as well
}

// parseSet reads a key set that others may have written.
func parseSet(raw []byte) ([]published, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil || doc.Keys == nil {
		return nil, fault.New(fault.Finding, "what KV holds as the key set is not one").WithHint("cogctl jwks resume publishes the keys of a rotation again")
	}
	keys := make([]published, 0, len(doc.Keys))
	for _, one := range doc.Keys {
		p, err := parsePublic(one)
		if err != nil {
			return nil, err
		}
		keys = append(keys, p)
	}
	return keys, nil
}

func parsePublic(raw json.RawMessage) (published, error) {
	var members map[string]any
	if json.Unmarshal(raw, &members) != nil {
		return published{}, fault.New(fault.Finding, "the key set holds something that is not a key")
	}
	var p published
	p.kid, _ = members["kid"].(string)
	p.modulus, _ = members["n"].(string)
	public := map[string]any{}
	for _, name := range []string{"kty", "alg", "use", "kid", "n", "e"} {
		if value, has := members[name]; has {
			public[name] = value
		}
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		_, has := members[name]
		p.isSecret = p.isSecret || has
	}
	var err error
	p.public, err = json.Marshal(public)
	if err != nil {
		return published{}, fault.New(fault.Internal, "encode a public key: %w", err)
	}
	return p, nil
}
