package platform

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"

	"github.com/go-jose/go-jose/v4"

	"github.com/cognomega/edge/internal/fault"
)

// keyID names a signing key by its RFC 7638 thumbprint, so that two keys never share a name.
func keyID(privateKeyPEM string) (string, error) {
	key, err := publicKey(privateKeyPEM)
	if err != nil {
		return "", err
	}
	sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fault.New(fault.Internal, "name the signing key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// publicJWKS is the key set that verifies what the private key signs: public members only.
func publicJWKS(privateKeyPEM, kid string) ([]byte, error) {
	key, err := publicKey(privateKeyPEM)
	if err != nil {
		return nil, err
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: kid, Algorithm: string(jose.RS256), Use: "sig"}}}
	raw, err := json.Marshal(set)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode the key set: %w", err)
	}
	return raw, nil
}

func publicKey(privateKeyPEM string) (*rsa.PublicKey, error) {
	bad := fault.New(fault.Invalid, "the signing key is not a PKCS#8 RSA key of %d bits or more in PEM", rsaBits).WithHint("correct %s", secretPrivateKey)
	block, _ := pem.Decode([]byte(privateKeyPEM))
	if block == nil {
		return nil, bad
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, bad // the parser's own words could quote the key
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok || key.N.BitLen() < rsaBits {
		return nil, bad
	}
	return &key.PublicKey, nil
}
