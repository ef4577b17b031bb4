package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

const (
	leafLife    = 90 * 24 * time.Hour
	leafRenew   = 30 * 24 * time.Hour
	maxLeaves   = 4096 // hostnames under a wildcard record are without number
	localServer = "localhost"
)

// certificates issues leaves for the hostnames that the edge answers for, and keeps them.
type certificates struct {
	ca    *CA
	now   func() time.Time
	knows func(host string) bool

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

func newCertificates(ca *CA, now func() time.Time, knows func(string) bool) *certificates {
	return &certificates{ca: ca, now: now, knows: knows, leaves: map[string]*tls.Certificate{}}
}

// TLSConfig serves the account's hostnames, and localhost and the loopback addresses for the API.
// A hostname that nobody owns ends in the alert unrecognized_name.
func (e *Edge) TLSConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: e.certs.get}
}

// get answers no certificate and no error for an unknown name: crypto/tls turns that into the alert.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if host == "" {
		host = localServer
	}
	if host != localServer && (!validHost(host) || !c.knows(host)) {
		return nil, nil
	}
	return c.leaf(host)
}

func (c *certificates) leaf(host string) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.leaves[host]; have != nil && have.Leaf.NotAfter.Sub(c.now()) > leafRenew {
		return have, nil
	}
	made, err := c.issue(host)
	if err != nil {
		return nil, err
	}
	if len(c.leaves) >= maxLeaves {
		clear(c.leaves)
	}
	c.leaves[host] = made
	return made, nil
}

func (c *certificates) issue(host string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fault.New(fault.Internal, "make a key for %s: %w", host, err)
	}
	now := c.now()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{Organization: []string{"Cognomega Edge"}}, DNSNames: []string{host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if host == localServer {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.ca.cert, key.Public(), c.ca.key)
	if err != nil {
		return nil, fault.New(fault.Internal, "sign the certificate of %s: %w", host, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.New(fault.Internal, "read the certificate of %s back: %w", host, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, c.ca.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}
