// Package oidctest is an OpenID provider such as a CI service runs, with real RS256 signatures, that a test can make lie.
package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Host is the name that the provider serves under, whatever address it listens on.
const Host = "token.actions.githubusercontent.com"

// RequestToken is what a run shows to get a token.
const RequestToken = "a-request-token-of-this-run"

// Issuer serves its description, its keys and, to who has the request token, tokens.
type Issuer struct {
	CertPEM []byte // what makes its name believed
	Address string // where it really listens

	mu     sync.Mutex
	key    *rsa.PrivateKey
	signer *rsa.PrivateKey
	claims map[string]any
	asked  int
}

var keys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var made [2]*rsa.PrivateKey
	for i := range made {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		made[i] = key
	}
	return made
})

// New starts a provider whose tokens carry the claims, and are valid for five minutes from now.
func New(t testing.TB, claims map[string]any) *Issuer {
	t.Helper()
	i := &Issuer{key: keys()[0], signer: keys()[0], claims: maps.Clone(claims)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]string{"issuer": "https://" + Host, "jwks_uri": "https://" + Host + "/.well-known/jwks"})
	})
	mux.HandleFunc("GET /.well-known/jwks", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /token", i.token(t))
	server := httptest.NewUnstartedServer(mux)
	certificate, chain := Certificate(t, Host)
	i.CertPEM = chain
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	i.Address = server.Listener.Addr().String()
	return i
}

// RequestURL is where a run asks for tokens.
func (i *Issuer) RequestURL() string { return "https://" + Host + "/token?api-version=2.0" }

// Say changes a claim of the tokens from now on; nil leaves it out.
func (i *Issuer) Say(name string, value any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.claims[name] = value
}

// Claim is what the tokens say of themselves under a name; nil when it is left to the provider.
func (i *Issuer) Claim(name string) any {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.claims[name]
}

// Unsay takes back a Say: with nil the provider says again what it would.
func (i *Issuer) Unsay(name string, was any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.claims[name] = was; was == nil {
		delete(i.claims, name)
	}
}

// Forge signs from now on with a key that the provider does not publish, under the id of one that it does.
func (i *Issuer) Forge(forge bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.signer = i.key
	if forge {
		i.signer = keys()[1]
	}
}

// Asked is how many tokens were asked for.
func (i *Issuer) Asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked
}

// Client reaches the provider by its name, and believes its certificate.
func (i *Issuer) Client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(i.CertPEM)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: Host, MinVersion: tls.VersionTLS12},
		Dial:            func(network, _ string) (net.Conn, error) { return net.Dial(network, i.Address) }, //nolint:noctx // a test's
	}}
}

func (i *Issuer) token(t testing.TB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+RequestToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(w, map[string]string{"value": i.Sign(t, r.URL.Query().Get("audience"))})
	}
}

// Sign is a token for an audience, as it stands now.
func (i *Issuer) Sign(t testing.TB, audience string) string {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked++
	now := time.Now()
	claims := map[string]any{"iss": "https://" + Host, "aud": audience, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	maps.Copy(claims, i.claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	raw, err := json.Marshal(claims)
	if err != nil {
		t.Error(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: i.signer, KeyID: "k1"}}, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	signed, err := signer.Sign(raw)
	if err != nil {
		t.Error(err)
		return ""
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return text
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// Certificate is one of the test's own for the names, and what makes it believed.
func Certificate(t testing.TB, hosts ...string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
