package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cognomega/edge/internal/fault"
)

const (
	caYears     = 5
	caRenewLeft = 30 * 24 * time.Hour // a root this close to its end is replaced at the next start
)

// CA is a certificate authority of this machine alone.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// permittedNames bound what the root can vouch for: names reserved for local use (RFC 2606, RFC 6761) and workers.dev, so
// that a root that leaks from a developer's machine, or is trusted by its browser, says nothing of the world's other sites.
var permittedNames = []string{"localhost", "test", "example", "invalid", "internal", "example.com", "example.net", "example.org", workersDev}

// LoadOrCreateCA reads ca.pem and ca-key.pem in dir, and makes new ones when they are missing, do not belong together or are about to expire.
func LoadOrCreateCA(dir string) (*CA, error) {
	certFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")
	ca, err := loadCA(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	if ca != nil && time.Until(ca.cert.NotAfter) > caRenewLeft {
		return ca, os.Chmod(keyFile, 0o600)
	}
	return createCA(certFile, keyFile)
}

// loadCA is nil without an error when there is no usable pair.
func loadCA(certFile, keyFile string) (*CA, error) {
	certDER, err := readPEM(certFile, "CERTIFICATE")
	if err != nil || certDER == nil {
		return nil, err
	}
	keyDER, err := readPEM(keyFile, "PRIVATE KEY")
	if err != nil || keyDER == nil {
		return nil, err
	}
	cert, certErr := x509.ParseCertificate(certDER)
	parsed, keyErr := x509.ParsePKCS8PrivateKey(keyDER)
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, unusable(certFile, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil
	}
	return &CA{cert, key}, nil
}

func readPEM(path, kind string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "read the local certificate authority: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != kind {
		return nil, unusable(path, errors.New("it holds no "+kind))
	}
	return block.Bytes, nil
}

func unusable(path string, err error) error {
	return fault.New(fault.Invalid, "local certificate authority %s cannot be read: %w", path, err).
		WithHint("remove ca.pem and ca-key.pem to have new ones made")
}

func createCA(certFile, keyFile string) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fault.New(fault.Internal, "make a key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Cognomega Edge local root", Organization: []string{"Cognomega Edge"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(caYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: permittedNames, PermittedIPRanges: loopback(),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fault.New(fault.Internal, "sign the root certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.New(fault.Internal, "read the root certificate back: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode the root key: %w", err)
	}
	// The key goes first: a crash between the two leaves a pair that does not fit, which the next start replaces.
	err = errors.Join(writePEM(keyFile, "PRIVATE KEY", keyDER, 0o600), writePEM(certFile, "CERTIFICATE", der, 0o644))
	return &CA{cert, key}, err
}

func loopback() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
}

// serial is 127 random bits, as RFC 5280 allows at most 20 octets.
func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails since Go 1.24
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

// writePEM writes beside the target, then renames over it, so that a crash leaves the old file or the new one.
func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	raw := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := renameio.WriteFile(path, raw, mode, renameio.WithStaticPermissions(mode)); err != nil {
		return fault.New(fault.Unavailable, "write %s: %w", path, err)
	}
	return nil
}
