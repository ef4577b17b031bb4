package rotation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/internal/rotation"
)

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
