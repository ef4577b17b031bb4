package rotation_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
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

// world is an account of the local cloud under a clock of its own, and the readers and signers of a platform around it. Time passes
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

type minted struct {
	first, last string
	firstAt     time.Time
	lastAt      time.Time
}

// keyPool is made once: making keys is what would take longest. Every world uses them in order, and never one twice.
var keyPool = sync.OnceValue(func() []rotation.Key {
	var keys []rotation.Key
	for range 6 {
		k, err := rotation.NewKey()
		if err != nil {
			panic(err)
		}
		keys = append(keys, k)
	}
	return keys
})

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

// kv is the key set as a reader sees it, and as it was written last.
func (w *world) kv() (seen, newest string) {
	w.t.Helper()
	old, err := w.store.KV().GetVisible(w.keysNS, "jwks")
	if err != nil {
		w.t.Fatal(err)
	}
	fresh, err := w.store.KV().Get(w.keysNS, "jwks")
	if err != nil {
		w.t.Fatal(err)
	}
	return string(old.Value), string(fresh.Value)
}

// bindings are the secrets of the version that an isolate runs: the newest, or the newest of those that must have reached it.
func (w *world) bindings(slow bool) map[string]string {
	w.t.Helper()
	env := map[string]string{}
	now := w.clock()
	err := w.store.View(func(tx *store.Tx) error {
		var script store.Script
		if err := tx.Get(store.Scripts, "auth-svc", &script); err != nil {
			return err
		}
		served := script.Deployments[len(script.Deployments)-1]
		for _, d := range script.Deployments { // newest first
			if !slow || now.Sub(d.Created) >= (propagationS-1)*time.Second {
				served = d
				break
			}
		}
		var v store.Version
		if err := tx.Get(store.Versions, "auth-svc/"+served.Versions[0].VersionID, &v); err != nil {
			return err
		}
		for _, b := range v.Bindings {
			env[b.Name] = b.Text
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return env
}

// tick has both isolates of auth-svc sign, and every reader verify what is valid: two gateways, one of which reads KV as old as it
// may be, and a stranger who holds a key set for as long as its header allows.
func (w *world) tick() {
	w.t.Helper()
	seen, newest := w.kv()
	now := w.clock()
	if now.Sub(w.setAt) >= maxAgeS*time.Second {
		w.set, w.setAt = seen, now
	}
	fast, slow := w.bindings(false), w.bindings(true)
	ask := hostAsk{Now: now.Unix(), Issuer: issuer, Mint: []mintAsk{{fast}}}
	if fmt.Sprint(fast) != fmt.Sprint(slow) {
		ask.Mint = append(ask.Mint, mintAsk{slow})
	}
	tokens := w.valid(now)
	for i := range ask.Mint {
		tokens = append(tokens, fmt.Sprintf("#%d", i))
	}
	ask.Check = []checkAsk{{w.gate, newest, tokens}, {w.gate + 1, seen, tokens}, {-1, w.set, tokens}}
	answer := w.host.ask(w.t, ask)
	for i, m := range answer.Minted {
		if m.Error != "" {
			w.breaks("at %s auth-svc cannot sign: %s", now, m.Error)
			continue
		}
		w.note(m.Token, now)
		w.keep(ask.Mint[i].Env)
	}
	for i, reasons := range answer.Checked {
		for j, why := range reasons {
			if why != nil {
				w.breaks("at %s reader %d refuses a valid token of %s: %s\nkey set there %s", now, i, kidOf(w.t, tokens[j], answer), *why, ask.Check[i].JWKS)
			}
		}
	}
	w.deadline(newest, now)
}

// valid are the tokens that have not expired.
func (w *world) valid(now time.Time) []string {
	var tokens []string
	for _, m := range w.tokens {
		if now.Sub(m.firstAt) < lifeS*time.Second {
			tokens = append(tokens, m.first)
		}
		if m.last != m.first && now.Sub(m.lastAt) < lifeS*time.Second {
			tokens = append(tokens, m.last)
		}
	}
	return tokens
}

func (w *world) note(token string, now time.Time) {
	kid := kidIn(w.t, token)
	m := w.tokens[kid]
	if m == nil {
		m = &minted{first: token, firstAt: now}
		w.tokens[kid] = m
	}
	m.last, m.lastAt = token, now
	w.signed[kid] = now
}

// keep remembers private keys, to look for them where they must not be.
func (w *world) keep(env map[string]string) {
	for _, text := range env {
		if strings.Contains(text, "PRIVATE KEY") && !slices.Contains(w.secrets, text) {
			w.secrets = append(w.secrets, text)
		}
	}
}

// deadline is when a key must be out of the key set: all that it signed has expired, and a program that died had its successor.
func (w *world) deadline(newest string, now time.Time) {
	const latest = (propagationS + lifeS + skewS + marginS + 2*(60+120) + 60) * time.Second
	for kid, last := range w.signed {
		if now.Sub(last) > latest && strings.Contains(newest, `"`+kid+`"`) {
			w.breaks("at %s key %s, which signed last at %s, is still published", now, kid, last)
		}
	}
}

func (w *world) breaks(format string, args ...any) {
	if w.broken == nil {
		w.broken = fmt.Errorf(format, args...)
	}
}

func kidOf(t testing.TB, token string, a hostAnswer) string {
	if strings.HasPrefix(token, "#") {
		token = a.Minted[int(token[1]-'0')].Token
	}
	return kidIn(t, token)
}

func kidIn(t testing.TB, token string) string {
	t.Helper()
	var header struct{ KID string }
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err == nil {
		err = json.Unmarshal(raw, &header)
	}
	if err != nil {
		t.Fatalf("no token: %q", token)
	}
	return header.KID
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

// due is true when the world was not looked at for a while: for longer in calm times.
func (w *world) due() bool {
	now := w.clock()
	var last time.Time
	for _, at := range w.signed {
		if at.After(last) {
			last = at
		}
	}
	w.mu.Lock()
	calm := now.Sub(w.written) > 12*time.Minute
	w.mu.Unlock()
	return now.Sub(last) >= 55*time.Second && (!calm || now.Sub(last) >= 10*time.Minute)
}

var errKilled = errors.New("the process was killed")

// killer is a transport that dies at its n-th request: before it is sent, or after it had its effect.
type killer struct {
	w     *world
	mu    sync.Mutex
	at    int // 0 never
	after bool
	seen  int
	dead  bool
	calls []string
	turn  func() // waits for this process's turn; nil when it is alone
}

func (k *killer) RoundTrip(r *http.Request) (*http.Response, error) {
	if k.turn != nil {
		k.turn()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.alive(r.Method + " " + r.URL.Path) {
		if !k.after || k.seen != k.at || k.dead {
			k.dead = true
			return nil, errKilled
		}
		k.dead = true
		res, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			_ = res.Body.Close()
		}
		return nil, errKilled
	}
	k.w.pass(700 * time.Millisecond)
	return http.DefaultTransport.RoundTrip(r)
}

// alive counts a call.
func (k *killer) alive(call string) bool {
	if k.dead {
		return false
	}
	k.seen++
	k.calls = append(k.calls, call)
	return k.at == 0 || k.seen != k.at
}

// client is one process's client of the API.
func (w *world) client(k *killer) *cfapi.Client {
	w.t.Helper()
	cfg := cfapi.Config{BaseURL: w.base, Token: apitest.Token, AccountID: apitest.AccountID, RetryMax: -1, Sleep: w.sleep}
	if k != nil {
		cfg.HTTP = &http.Client{Transport: k}
	}
	client, err := cfapi.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

// edge is the platform as this world's readers see it.
type edge struct {
	w *world
	k *killer
}

func (e edge) Served(context.Context) (rotation.Served, error) {
	if e.k != nil && !e.k.alive("EDGE jwks") {
		e.k.dead = true
		return rotation.Served{}, errKilled
	}
	seen, _ := e.w.kv()
	var doc struct{ Keys []struct{ KID string } }
	if err := json.Unmarshal([]byte(seen), &doc); err != nil {
		return rotation.Served{}, err
	}
	s := rotation.Served{MaxAge: maxAgeS * time.Second}
	for _, k := range doc.Keys {
		s.KIDs = append(s.KIDs, k.KID)
	}
	return s, nil
}

func (e edge) Mint(context.Context) (rotation.Token, error) {
	if e.k != nil && !e.k.alive("EDGE mint") {
		e.k.dead = true
		return rotation.Token{}, errKilled
	}
	a := e.w.host.ask(e.w.t, hostAsk{Now: e.w.clock().Unix(), Issuer: issuer, Mint: []mintAsk{{e.w.bindings(false)}}})
	if a.Minted[0].Error != "" {
		return rotation.Token{}, errors.New(a.Minted[0].Error)
	}
	return rotation.Token{Text: a.Minted[0].Token, KID: kidIn(e.w.t, a.Minted[0].Token), Life: lifeS * time.Second}, nil
}

func (e edge) Accepts(_ context.Context, token string) (bool, error) {
	seen, newest := e.w.kv()
	a := e.w.host.ask(e.w.t, hostAsk{Now: e.w.clock().Unix(), Issuer: issuer, Check: []checkAsk{{e.w.gate, newest, []string{token}}, {e.w.gate + 1, seen, []string{token}}}})
	return a.Checked[0][0] == nil || a.Checked[1][0] == nil, nil
}

// operator is one process.
func (w *world) operator(name string, k *killer) *rotation.Rotator {
	w.t.Helper()
	return w.operatorOf(name, k, func(*rotation.Config) {})
}

func (w *world) operatorOf(name string, k *killer, edit func(*rotation.Config)) *rotation.Rotator {
	w.t.Helper()
	c := rotation.Config{
		Contract: w.c, Account: w.client(k), Edge: edge{w, k}, Owner: name, Sleep: w.sleep, Now: w.clock, NewKey: w.newKey,
		Say: func(p rotation.Progress) { fmt.Fprintf(&w.told, "%+v\n", p) },
	}
	edit(&c)
	r, err := rotation.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// newKey takes keys from the pool that no slot of this world ever held.
func (w *world) newKey() (rotation.Key, error) {
	for _, k := range keyPool()[1:] {
		if !slices.Contains(w.secrets, k.PEM()) {
			w.secrets = append(w.secrets, k.PEM())
			return k, nil
		}
	}
	return rotation.NewKey()
}

// finished is an error unless exactly one rotation took place, its key signs, and no private key is anywhere but in the slot.
func (w *world) finished(out rotation.Outcome) error {
	if err := w.afterwards(); err != nil {
		return err
	}
	d := out.Document
	_, newest := w.kv()
	env := w.bindings(false)
	switch {
	case !out.Done || d.Phase() != rotation.Stable:
		return fmt.Errorf("not done: %s", d.Phase())
	case d.Rotation != 1 || d.Signs.KID == "k1" || d.Signs.Slot != "b":
		return fmt.Errorf("rotation %d, %s signs from slot %s", d.Rotation, d.Signs.KID, d.Signs.Slot)
	case len(w.signed) != 2:
		return fmt.Errorf("%d keys signed, want the one before and the one after", len(w.signed))
	case strings.Contains(newest, `"k1"`) || !strings.Contains(newest, d.Signs.KID):
		return fmt.Errorf("published: %s", newest)
	case env["PRIVATE_KEY_PEM"] != "retired" || env["KID"] != "retired" || env["SIGNING_SLOT"] != "b:"+d.Signs.KID:
		return fmt.Errorf("slot a holds %.8s of %q, the pointer says %q", env["PRIVATE_KEY_PEM"], env["KID"], env["SIGNING_SLOT"])
	}
	return w.leaked()
}

// afterwards lets the last reader drop what it holds, and looks on.
func (w *world) afterwards() error {
	if err := w.sleep(w.t.Context(), w.visible+(maxAgeS+cacheS+10)*time.Second); err != nil {
		return err
	}
	w.tick()
	return w.broken
}

// leaked looks for every private key in all that was said and stored.
func (w *world) leaked() error {
	var places strings.Builder
	places.WriteString(w.told.String())
	for _, key := range []string{"jwks", "rotation"} {
		entry, err := w.store.KV().Get(w.keysNS, key)
		if err != nil {
			return err
		}
		places.Write(entry.Value)
	}
	text := places.String()
	for _, secret := range w.secrets {
		lines := strings.Split(secret, "\n")
		if strings.Contains(text, "PRIVATE KEY") || len(lines) > 5 && strings.Contains(text, lines[5]) {
			return errors.New("a private key was printed or stored outside of its slot")
		}
	}
	return nil
}
