package platform

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud"
)

// Local is the name of the environment that runs on this machine.
const Local = "local"

// Connection is how to reach one environment: its API, and its public hostname.
type Connection struct {
	Env     string
	Decl    contract.Env
	API     *cfapi.Client
	Local   *localcloud.Endpoints // of the local environment only
	HTTP    *http.Client          // dials the edge; follows no redirects, so that every answer can be judged
	BaseURL *url.URL              // of the public hostname
}

// Connect resolves an environment of the contract into a connection. Nothing is sent but a look at the local cloud.
func Connect(ctx context.Context, c *contract.Contract, l Layout, env string) (*Connection, error) {
	decl, ok := c.Envs[env]
	if !ok {
		return nil, fault.New(fault.Invalid, "environment %q is not in the contract", env).WithHint("one of: %s", strings.Join(slices.Sorted(maps.Keys(c.Envs)), ", "))
	}
	conn := &Connection{Env: env, Decl: decl, BaseURL: &url.URL{Scheme: "https", Host: decl.Hostname}}
	if env == Local {
		return conn.connectLocal(ctx, l)
	}
	return conn.connectRemote()
}

func (n *Connection) connectLocal(ctx context.Context, l Layout) (*Connection, error) {
	e, err := RunningLocal(ctx, l)
	if err != nil {
		return nil, err
	}
	token, err := e.Token()
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(e.CAFile)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "read the local certificate authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Invalid, "%s holds no certificate", e.CAFile).WithHint("cogctl local stop, remove the file, cogctl local start")
	}
	n.Local, n.HTTP = &e, newHTTP(roots, e.EdgeHTTPS)
	_, port, err := net.SplitHostPort(e.EdgeHTTPS)
	if err != nil {
		return nil, fault.New(fault.Invalid, "edge address %q: %w", e.EdgeHTTPS, err)
	}
	n.BaseURL.Host = net.JoinHostPort(n.Decl.Hostname, port)
	n.API, err = cfapi.New(cfapi.Config{BaseURL: e.APIHTTP, Token: token, AccountID: e.AccountID})
	return n, err
}

func (n *Connection) connectRemote() (_ *Connection, err error) {
	account := n.Decl.AccountID
	if account == "" {
		account = os.Getenv("CLOUDFLARE_ACCOUNT_ID")
	}
	if account == "" {
		return nil, fault.New(fault.Invalid, "environment %s does not say which account it is in", n.Env).WithHint("set CLOUDFLARE_ACCOUNT_ID")
	}
	n.HTTP = newHTTP(nil, "")
	base := n.Decl.APIURL
	if other := os.Getenv("CLOUDFLARE_BASE_URL"); other != "" {
		base = other
	}
	n.API, err = cfapi.New(cfapi.Config{BaseURL: base, Token: os.Getenv("CLOUDFLARE_API_TOKEN"), AccountID: account})
	return n, err
}

// Outside is a client for what is neither the account nor the platform, such as an issuer of tokens.
func Outside() *http.Client { return newHTTP(nil, "") }

// newHTTP makes a client that trusts roots (nil: the system's) and, when edge is given, dials it whatever the name:
// a .localhost name needs no hosts file then.
func newHTTP(roots *x509.CertPool, edge string) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	proxy := http.ProxyFromEnvironment
	if edge != "" {
		proxy = nil // this machine is reached without leaving it
	}
	return &http.Client{
		Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			Proxy:           proxy,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if edge != "" {
					addr = edge
				}
				return dialer.DialContext(ctx, network, addr)
			},
		},
	}
}
