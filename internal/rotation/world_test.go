package rotation_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/cognomega/edge/internal/rotation"
)

// What the contract says, written out again: seconds.
const (
	lifeS, skewS, maxAgeS, cacheS, propagationS, marginS = 3600, 60, 300, 60, 60, 20

	issuer = "https://api.example.test"
)

// only when somebody sleeps, and a little with each call of the API.
type world struct {
	t       testing.TB
	store   *store.Store
	base    string // of the API
	handler http.Handler
	host    *host
	c       *contract.Contract
	visible time.Duration

	mu      sync.Mutex
	now     time.Time
	written time.Time // when the account was last changed
	keysNS  string
	gate    int    // number of its first gateway: a host serves many worlds
	set     string // what the stranger fetched last
	setAt   time.Time

	tokens  map[string]*minted   // by kid: the first and the last one that it signed
	signed  map[string]time.Time // by kid, when it signed last
	secrets []string             // every private key that was ever in a slot
	broken  error                // the first promise that did not hold
	hidden  []byte               // a value that a test took away
	told    strings.Builder      // everything that was said, and every error
	faults  api.Faults
}

func newWorld(t testing.TB, h *host, visible time.Duration) *world {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, host: h, c: c, visible: visible, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		tokens: map[string]*minted{}, signed: map[string]time.Time{}, gate: h.gates,
	}
	h.gates += 2
	if w.store, err = store.Open(t.TempDir(), store.Options{Now: w.clock, KVVisibility: visible}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	err = w.store.Update(func(tx *store.Tx) error {
		return tx.Put(store.Tokens, api.HashToken(apitest.Token), store.Token{ID: "t", Name: "operator", Status: "active", Permissions: []string{"*"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	v4 := api.New(api.Config{
		Store: w.store, Runtime: &apitest.Runtime{Store: w.store}, AccountID: apitest.AccountID, AccountName: "test", Now: w.clock, Faults: &w.faults,
	})
	w.handler = w.old(v4)
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.Close)
	w.base = server.URL + api.Prefix
	w.deploy()
	return w
}

// deploy makes a platform whose keys never rotated, long ago.
func (w *world) deploy() {
	w.t.Helper()
	client := w.client(nil)
	ns, err := client.CreateNamespace(w.t.Context(), "cognomega-keys")
	if err != nil {
		w.t.Fatal(err)
	}
	w.keysNS = ns.ID
	first, named := keyPool()[0], "k1"
	text := first.PEM()
	_, err = client.PutScript(w.t.Context(), "auth-svc", cfapi.ScriptUpload{
		MainModule: "w.js", Modules: []cfapi.Module{{Name: "w.js", Type: "application/javascript+module", Content: []byte("export default { fetch() {} }")}},
		CompatibilityDate: "2026-11-01", Bindings: []cfapi.Binding{{Name: "PRIVATE_KEY_PEM", Type: "secret_text", Text: &text}, {Name: "KID", Type: "secret_text", Text: &named}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	var public map[string]any
	if err := json.Unmarshal(first.JWK(), &public); err != nil {
		w.t.Fatal(err)
	}
	public["kid"] = named
	raw, _ := json.Marshal(public)
	set, err := rotation.Set(raw)
	if err == nil {
		err = client.KVPut(w.t.Context(), ns.ID, "jwks", set)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.pass(10 * time.Minute)
	w.tick()
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// old is the API with the world's clock in its answers, and with KV as old as it may be: also the API's reads of it.
func (w *world) old(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Date", w.clock().UTC().Format(http.TimeFormat))
		if r.Method != http.MethodGet {
			w.mu.Lock()
			w.written = w.now
			w.mu.Unlock()
		}
		_, key, isValue := strings.Cut(r.URL.Path, "/values/")
		if !isValue || r.Method != http.MethodGet {
			next.ServeHTTP(rw, r)
			return
		}
		ns := strings.Split(strings.Split(r.URL.Path, "/namespaces/")[1], "/")[0]
		entry, err := w.store.KV().GetVisible(ns, key)
		if err != nil {
			rw.WriteHeader(http.StatusNotFound)
			_, _ = rw.Write([]byte(`{"success":false,"errors":[{"code":10009,"message":"get: 'key not found'"}],"messages":[],"result":null}`))
			return
		}
		_, _ = rw.Write(entry.Value)
	})
}

// sleep is the only thing that takes long here. What happens meanwhile is looked at often while something changes, else seldom.
func (w *world) sleep(ctx context.Context, d time.Duration) error {
	for d > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		nap := min(d, 2*time.Minute)
		w.pass(nap)
		d -= nap
		if w.due() {
			w.tick()
		}
	}
	return nil
}
