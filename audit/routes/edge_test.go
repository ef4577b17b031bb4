package routes_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/edge"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// TestTheEdgeAgrees asks a running edge, which has a matcher of its own, for every witness of random route sets: whoever the
// audit says answers must be who answers. Where the audit says that Cloudflare does not document the winner, nothing is asked.
func TestTheEdgeAgrees(t *testing.T) {
	t.Parallel()
	asked := map[string]int{}
	for seed := range uint64(120) {
		rng := rand.New(rand.NewPCG(seed, 11))
		s, client := newEdge(t)
		domain := seed%3 == 0
		c := &routes.Capture{Host: host, Zone: cfapi.Zone{ID: zoneID, Name: "example.test"}, DNS: []routes.DNSRecord{{ID: "r", Type: "A", Name: host, Proxied: true}}}
		put(t, s, store.Zones, zoneID, store.Zone{ID: zoneID, Name: "example.test", Status: "active"})
		put(t, s, store.DNSRecords, zoneID+"/r", store.DNSRecord{ID: "r", ZoneID: zoneID, Type: "A", Name: host, Content: "192.0.2.1", Proxied: true})
		for i, pattern := range randomPatterns(rng) {
			r := routes.Route{ID: fmt.Sprint(i), Pattern: pattern, Script: []string{"one", "two", "three", ""}[rng.IntN(4)]}
			c.Routes = append(c.Routes, r)
			put(t, s, store.Routes, zoneID+"/"+r.ID, store.Route{ID: r.ID, ZoneID: zoneID, Pattern: r.Pattern, Script: r.Script})
		}
		if domain {
			c.Domains = []cfapi.Domain{{ID: "d", Hostname: host, Service: "domain", ZoneID: zoneID}}
			put(t, s, store.Domains, "d", store.CustomDomain{ID: "d", Hostname: host, Service: "domain", ZoneID: zoneID})
		}
		// Expecting a Worker that does not exist makes every region a finding.
		for _, f := range routes.Judge(c, routes.Expect{Owner: "expected"}).Findings {
			if f.Got == "undecided" {
				continue
			}
			asked[f.URL[:5]]++
			if got := answers(t, client, f.URL); got != f.Got {
				t.Errorf("seed %d: %s is answered by %q, the audit says %q (%s); routes %+v", seed, f.URL, got, f.Got, f.Code, c.Routes)
			}
		}
	}
	if asked["https"] < 300 || asked["http:"] < 30 {
		t.Errorf("only %v URLs were asked", asked)
	}
	t.Logf("asked %v", asked)
}

func randomPatterns(rng *rand.Rand) []string {
	schemes := []string{"", "", "", "http://", "https://"}
	hosts := []string{host, host, host, "*.example.test", "*example.test", "*"}
	parts := []string{"", "a", "ab", "b", "images", "v1"}
	seen := map[string]bool{}
	var patterns []string
	for range 2 + rng.IntN(7) {
		p := hosts[rng.IntN(len(hosts))]
		scheme := schemes[rng.IntN(len(schemes))]
		for range rng.IntN(4) {
			p += "/" + parts[rng.IntN(len(parts))]
		}
		if !strings.Contains(p, "/") {
			p += "/"
		}
		if rng.IntN(3) > 0 {
			p += "*"
		}
		if p = scheme + p; !seen[p] {
			seen[p], patterns = true, append(patterns, p)
		}
	}
	return patterns
}

func put(t *testing.T, s *store.Store, c store.Collection, id string, doc any) {
	t.Helper()
	if err := s.Update(func(tx *store.Tx) error { return tx.Put(c, id, doc) }); err != nil {
		t.Fatal(err)
	}
}

// newEdge is a running edge whose Workers answer with their names, and a client that dials it whatever the host is.
func newEdge(t *testing.T) (*store.Store, *http.Client) {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	dir := t.TempDir()
	ca, err := edge.LoadOrCreateCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	workers := named{}
	for _, name := range []string{"one", "two", "three", "domain"} {
		w := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
		t.Cleanup(w.Close)
		workers[name] = w.Listener.Addr().String()
	}
	e := edge.New(edge.Config{Store: s, Runtime: workers, CA: ca, Metrics: s.Metrics()})
	t.Cleanup(func() { _ = e.Close() })
	plain, secure := httptest.NewServer(e.Handler()), httptest.NewUnstartedServer(e.Handler())
	secure.TLS = e.TLSConfig()
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	if pem, err := os.ReadFile(filepath.Join(dir, "ca.pem")); err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("ca.pem: %v", err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		front := plain
		if strings.HasSuffix(address, ":443") {
			front = secure
		}
		return new(net.Dialer).DialContext(ctx, "tcp", front.Listener.Addr().String())
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return s, &http.Client{Transport: tr}
}

// named lends the server of each script.
type named map[string]string

func (n named) Acquire(_ context.Context, script string, _ edge.Prefer) (*edge.Lease, error) {
	addr, ok := n[script]
	if !ok {
		return nil, fault.New(fault.NotFound, "no script %s", script)
	}
	return &edge.Lease{Network: "tcp", Addr: addr, Release: func() {}}, nil
}

// answers is the name of the Worker that answered, or nobody.
func answers(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		return "nobody"
	}
	return string(body)
}
