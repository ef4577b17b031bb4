package routes_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go"

	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud"
)

// cloud is the whole local cloud: its API is audited, and its edge and Workers in workerd are asked.
type cloud struct {
	*bed
	client *http.Client
	zoneID string
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(checkout, "workers/node_modules/@cloudflare/workerd-*/bin/workerd"))
	if len(found) == 0 {
		t.Fatal("workerd is not installed: make setup")
	}
	running, err := localcloud.Start(t.Context(), localcloud.Config{Dir: t.TempDir(), AccountName: "routes", Zones: []string{"example.test"}, Workerd: found[0]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Close() })
	e := running.Endpoints()
	token, err := e.Token()
	if err != nil {
		t.Fatal(err)
	}
	api, err := cfapi.New(cfapi.Config{BaseURL: e.APIHTTP, Token: token, AccountID: e.AccountID})
	if err != nil {
		t.Fatal(err)
	}
	return &cloud{&bed{t: t, api: api}, dialling(t, e), e.Zones[0].ID}
}

// dialling is a client that dials the edge whatever the name, and trusts its certificates alone.
func dialling(t *testing.T, e localcloud.Endpoints) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(e.CAFile)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("the account's root: %v", err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		to := e.EdgeHTTP
		if strings.HasSuffix(address, ":443") {
			to = e.EdgeHTTPS
		}
		return new(net.Dialer).DialContext(ctx, "tcp", to)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// TestEveryWitnessIsAnsweredByTheWorkerItNames asks real Workers, over the local cloud's own API and edge.
func TestEveryWitnessIsAnsweredByTheWorkerItNames(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	zone, acct := cloudflare.ZoneIdentifier(c.zoneID), cloudflare.AccountIdentifier(c.api.AccountID())
	for _, name := range []string{"one", "two", "three"} {
		_, err := c.api.CF().UploadWorker(t.Context(), acct, cloudflare.CreateWorkerParams{
			ScriptName: name, Script: "export default { fetch() { return new Response('" + name + "') } }", Module: true, CompatibilityDate: "2026-11-01",
		})
		c.must(err)
	}
	proxied := true
	_, err := c.api.CF().CreateDNSRecord(t.Context(), zone, cloudflare.CreateDNSRecordParams{Type: "A", Name: host, Content: "192.0.2.1", TTL: 1, Proxied: &proxied})
	c.must(err)
	asked := 0
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 13))
		for _, pattern := range randomPatterns(rng) {
			if _, rest, _ := strings.Cut("://"+pattern, "://"); strings.HasPrefix(rest, "*/") || strings.Contains(rest, "://*/") {
				continue // the API takes only hosts of the zone
			}
			_, err := c.api.CF().CreateWorkerRoute(t.Context(), zone, cloudflare.CreateWorkerRouteParams{Pattern: pattern, Script: []string{"one", "two", "three", ""}[rng.IntN(4)]})
			c.must(err)
		}
		capture, err := routes.Collect(t.Context(), c.api, routes.Ask{Host: host, At: time.Now()})
		c.must(err)
		for _, f := range routes.Judge(capture, routes.Expect{Owner: "expected"}).Findings {
			if f.Got == "undecided" || f.Code == "worker_missing" || f.Code == "workers_dev_on" || f.Code == "previews_on" {
				continue
			}
			asked++
			c.answered(f.URL, f.Got)
		}
		for _, r := range capture.Routes {
			_, err := c.api.CF().DeleteWorkerRoute(t.Context(), zone, r.ID)
			c.must(err)
		}
	}
	if t.Logf("%d witnesses asked", asked); asked < 40 {
		t.Errorf("only %d witnesses were asked", asked)
	}
}

// answered waits until the edge has taken the routes up, and fails when somebody else goes on answering.
func (c *cloud) answered(url, want string) {
	c.t.Helper()
	got := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if got = answers(c.t, c.client, url); got == want {
			return
		}
	}
	c.t.Errorf("%s is answered by %q, the audit says %q", url, got, want)
}
