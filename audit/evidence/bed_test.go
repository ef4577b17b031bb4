package evidence_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/ai"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/store"
)

const account = "fedcba9876543210fedcba9876543210"

func at() time.Time { return time.Date(2026, 11, 22, 18, 40, 11, 0, time.UTC) }

// bed is what makes proofs of production, and what verifies them.
type bed struct {
	t        testing.TB
	contract *contract.Contract
	target   *audit.Target
	signer   evidence.Signer
	dir      string
	store    *store.Store // of the live account
}

func newBed(t testing.TB) *bed {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	s, err := evidence.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"ai_bound":true}`)) }))
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	e := c.Envs["production"]
	return &bed{t: t, contract: c, signer: s, dir: t.TempDir(), target: &audit.Target{
		Env: "production", Hostname: e.Hostname, Issuer: e.Issuer, Origins: e.Origins, ZoneName: e.Zone, BaseURL: base, HTTP: server.Client(),
		AccountID: account, Contract: c, Now: at,
	}}
}

func (b *bed) origin() evidence.Origin {
	return evidence.Origin{Tool: "test", At: at(), Signer: b.signer, Subjects: []evidence.Subject{{
		Name: "worker/cognomega-api", Digest: map[string]string{"cloudflareEtag": "abc"}, Annotations: map[string]string{"version_id": "v1", "percentage": "100"},
	}}}
}

func (b *bed) verifier() evidence.Verifier {
	return evidence.Verifier{Ring: evidence.Ring{b.signer.ID: b.signer.Key}, Checks: suite.All(), Contract: b.contract}
}

// aiProof is a small proof that passes.
func (b *bed) aiProof() []byte {
	b.t.Helper()
	r, err := ai.Check().Run(b.t.Context(), b.target)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.keep(ai.Check(), r)
}

// routesProof is a proof of a capture.
func (b *bed) routesProof(c *routes.Capture) []byte {
	b.t.Helper()
	raw, err := json.Marshal(routes.Evidence{Capture: c})
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := routes.Check().Judge(b.target, raw)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.keep(routes.Check(), r)
}

func (b *bed) keep(c audit.Check, r audit.Result) []byte {
	b.t.Helper()
	path, err := evidence.Keep(b.t.Context(), b.dir, c, b.target, b.origin(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	return raw
}

func (b *bed) verify(raw []byte) (evidence.Verified, error) {
	return b.verifier().Verify(context.Background(), raw)
}

// capture is an account on which the gateway owns everything, and extra routes.
func (b *bed) capture(extra ...routes.Route) *routes.Capture {
	host := b.target.Hostname
	c := &routes.Capture{
		Schema: routes.CaptureSchema, At: at(), Account: account, Host: host, Zone: cfapi.Zone{ID: "z1", Name: b.target.ZoneName},
		Routes:  append([]routes.Route{{ID: "r1", Pattern: host + "/*", Script: b.contract.Gateway()}}, extra...),
		Domains: []cfapi.Domain{}, DNS: []routes.DNSRecord{{ID: "d1", Type: "AAAA", Name: host, Content: "100::", Proxied: true}},
		Pages: []routes.PagesProject{}, Redirects: []routes.Redirect{}, Unseen: []routes.Unseen{},
	}
	for name := range b.contract.Workers {
		c.Workers = append(c.Workers, routes.Worker{Name: name, Exists: true})
	}
	return c
}

func (b *bed) files() []string {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return files
}
