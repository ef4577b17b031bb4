package edge_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/edge"
)

// tlsBed serves the edge over TLS, and gives a client that trusts the CA file and nothing else.
func tlsBed(t *testing.T, b *bed, protocols ...string) *http.Client {
	t.Helper()
	s := httptest.NewUnstartedServer(b.edge.Handler())
	s.TLS = b.edge.TLSConfig()
	s.Config.TLSConfig = s.TLS
	l := tls.NewListener(s.Listener, s.TLS)
	go func() { _ = s.Config.Serve(l) }()
	t.Cleanup(func() { _ = s.Config.Close() })
	pem, err := os.ReadFile(filepath.Join(b.caDir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("ca.pem holds no certificate")
	}
	tr := &http.Transport{
		ForceAttemptHTTP2: len(protocols) == 0, TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: protocols},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.Listener.Addr().String())
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("cognomega.localhost", []string{"api.cognomega.localhost", "*.wild.cognomega.localhost"}, "https://*cognomega.localhost/*", "mirror")
	b.record("cognomega.localhost", "plain.cognomega.localhost", false)
	b.worker("mirror", http.HandlerFunc(mirror))
	for _, version := range []string{"HTTP/2.0", "HTTP/1.1"} {
		var only []string
		if version == "HTTP/1.1" {
			only = []string{"http/1.1"}
		}
		client := tlsBed(t, b, only...)
		for _, host := range []string{"api.cognomega.localhost", "a.wild.cognomega.localhost:8443"} {
			resp, err := client.Post("https://"+host+"/x", "text/plain", strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			got := body(t, resp)
			_ = resp.Body.Close()
			if resp.StatusCode != 200 || resp.Proto != version || !strings.Contains(got, `"X-Forwarded-Proto":["https"]`) || !strings.Contains(got, `"Body":"body"`) {
				t.Errorf("%s over %s: %d %s", host, resp.Proto, resp.StatusCode, got)
			}
		}
		for _, host := range []string{"plain.cognomega.localhost", "gone.cognomega.localhost", "example.org"} {
			_, err := client.Get("https://" + host + "/")
			if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("%s: %v", host, err)
			}
		}
		for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
			resp, err := client.Get("https://" + host + "/") // no Worker lives there, but the certificate is good
			if err != nil {
				t.Errorf("%s: %v", host, err)
				continue
			}
			_ = resp.Body.Close()
			if resp.StatusCode != 403 && resp.StatusCode != 409 {
				t.Errorf("%s: %d", host, resp.StatusCode)
			}
		}
	}
}

func TestRootVouchesForLocalNamesOnly(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.zone("cognomega.com", []string{"cognomega.com"}, "cognomega.com/*", "mirror")
	_, err := tlsBed(t, b).Get("https://cognomega.com/")
	if err == nil || !strings.Contains(err.Error(), "not authorized to sign for this name") {
		t.Errorf("a name of the world: %v", err)
	}
}

func TestCAIsKeptAndGuarded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	read := func() string {
		t.Helper()
		if _, err := edge.LoadOrCreateCA(dir); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	first := read()
	if read() != first {
		t.Error("the second start made another root")
	}
	key := filepath.Join(dir, "ca-key.pem")
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
	_ = os.Chmod(key, 0o644)
	_ = read()
	if info, _ := os.Stat(key); info.Mode().Perm() != 0o600 {
		t.Errorf("a key that others could read stays so: %v", info.Mode())
	}
	_ = os.Remove(key)
	if read() == first {
		t.Error("a root without its key was kept")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".tmp-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	_ = os.WriteFile(key, []byte("not PEM"), 0o600)
	if _, err := edge.LoadOrCreateCA(dir); !errors.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Errorf("a damaged key: %v", err)
	}
}

func TestRootLastsAYear(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := edge.LoadOrCreateCA(dir); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if !pair.Leaf.IsCA || time.Until(pair.Leaf.NotAfter) < 365*24*time.Hour || !pair.Leaf.MaxPathLenZero {
		t.Errorf("root until %v", pair.Leaf.NotAfter)
	}
}
