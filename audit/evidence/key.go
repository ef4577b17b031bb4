// Package evidence makes proofs that strangers can check: in-toto statements in signed envelopes, judged again from their own raw data.
package evidence

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"regexp"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Key is a public key that may have signed a proof.
type Key struct {
	ID     string            `json:"key_id"` // hex SHA-256 of the key in PKIX form
	Name   string            `json:"name,omitempty"`
	Public ed25519.PublicKey `json:"-"`
}

// Signer holds a private key. It shows itself by its id alone, whatever prints it.
type Signer struct {
	Key
	private ed25519.PrivateKey
}

// String keeps the private half out of logs and errors.
func (s Signer) String() string { return "signer " + s.ID }

// GoString is String for %#v.
func (s Signer) GoString() string { return s.String() }

const (
	publicBlock  = "PUBLIC KEY"
	privateBlock = "PRIVATE KEY"
	maxKeyBytes  = 16 << 10
)

// NewSigner makes a signer with a key that nobody has had before.
func NewSigner() (Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Signer{}, fault.New(fault.Internal, "make an evidence key: %w", err)
	}
	return signerOf(private)
}

func signerOf(private ed25519.PrivateKey) (Signer, error) {
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return Signer{}, fault.New(fault.Internal, "an ed25519 key without a public half")
	}
	id, err := keyID(public)
	return Signer{Key: Key{ID: id, Public: public}, private: private}, err
}

func keyID(public ed25519.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fault.New(fault.Internal, "encode a public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// ParseSigner reads a private key in PEM, PKCS#8. Its errors never repeat what they read.
func ParseSigner(text []byte) (Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != privateBlock || len(text) > maxKeyBytes {
		return Signer{}, fault.New(fault.Invalid, "the evidence key is not a private key in PEM (PKCS#8)").WithHint("openssl genpkey -algorithm ed25519")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Signer{}, fault.New(fault.Invalid, "the evidence key cannot be read as PKCS#8").WithHint("openssl genpkey -algorithm ed25519")
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Signer{}, fault.New(fault.Invalid, "the evidence key is a %T, not ed25519", parsed).WithHint("openssl genpkey -algorithm ed25519")
	}
	return signerOf(private)
}

func (s Signer) encode() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(s.private)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode an evidence key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der}), nil
}

// nameShape keeps a name on its one line before the key.
var nameShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._@/-]{0,63}$`)

// ParseKey reads a public key in PEM; a line "# name" before it names it. A private key is refused: it has no business here.
func ParseKey(text []byte) (Key, error) {
	block, _ := pem.Decode(text)
	switch {
	case len(text) > maxKeyBytes || block == nil:
		return Key{}, fault.New(fault.Invalid, "not a public key in PEM").WithHint("cogctl keys show prints one")
	case strings.Contains(block.Type, "PRIVATE"):
		return Key{}, fault.New(fault.Invalid, "this is a private key: trust needs the public half alone").WithHint("openssl pkey -in FILE -pubout; and keep the private key where only its owner reads it")
	case block.Type != publicBlock:
		return Key{}, fault.New(fault.Invalid, "a PEM block of type %q is not a public key", block.Type)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, fault.New(fault.Invalid, "the public key cannot be read: %w", err)
	}
	public, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return Key{}, fault.New(fault.Invalid, "the public key is a %T, not ed25519", parsed)
	}
	id, err := keyID(public)
	return Key{ID: id, Name: nameOf(text), Public: public}, err
}

func nameOf(text []byte) string {
	first, _, _ := strings.Cut(string(text), "\n")
	if name, ok := strings.CutPrefix(first, "# "); ok && nameShape.MatchString(name) {
		return name
	}
	return ""
}

// PEM is the public key as a file that ParseKey and openssl read.
func (k Key) PEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode a public key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: der})
	if k.Name != "" {
		text = append([]byte("# "+k.Name+"\n"), text...)
	}
	return text, nil
}
