package rotation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/cognomega/edge/internal/rotation"
)

// state is everything a rotation could have changed.
func (w *world) state(t *testing.T) string {
	t.Helper()
	_, set := w.kv()
	doc, _ := w.store.KV().Get(w.keysNS, "rotation")
	raw, err := json.Marshal(w.bindings(false))
	if err != nil {
		t.Fatal(err)
	}
	return set + string(doc.Value) + string(raw)
}

// TestTrouble meets each trouble with an error that says what it is and what to do, changes nothing, and goes through once it is over.
func TestTrouble(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tests := map[string]struct {
		phase rotation.Phase
		plant func(t *testing.T, w *world, c *rotation.Config)
		lift  func(t *testing.T, w *world)
		exit  int
		says  string
		hint  string
	}{
		"a half-written document": {rotation.Published, func(t *testing.T, w *world, _ *rotation.Config) {
			w.document(t, func(raw []byte) []byte { return raw[:len(raw)/2] })
		}, func(t *testing.T, w *world) { w.document(t, nil) }, fault.ExitFinding, "the rotation's document in KV cannot be used", "cogctl jwks revoke --all"},
		"a document of a private key": {rotation.Published, func(t *testing.T, w *world, _ *rotation.Config) {
			w.document(t, func(raw []byte) []byte { return bytes.Replace(raw, []byte(`"e":`), []byte(`"d":"AQAB","e":`), 1) })
		}, func(t *testing.T, w *world) { w.document(t, nil) }, fault.ExitFinding, "is not a public key of that name", "put the document back"},
		"a foreign key": {rotation.Stable, func(t *testing.T, w *world, _ *rotation.Config) { w.intrude(t, "stranger") },
			func(t *testing.T, w *world) {
				if _, err := w.operator("eve", nil).Revoke(t.Context(), "stranger"); err != nil {
					t.Fatal(err)
				}
			}, fault.ExitFinding, "the key set holds stranger, which no rotation published", "cogctl jwks revoke stranger"},
		"no key set": {rotation.Stable, func(t *testing.T, w *world, _ *rotation.Config) {
			w.hidden = w.value(t, "jwks")
			w.drop(t, "jwks")
		}, func(t *testing.T, w *world) { w.put(t, "jwks", w.hidden) }, fault.ExitAPI, "no key is published yet", "cogctl up"},
		"a token that may not write KV": {rotation.Stable, func(t *testing.T, w *world, c *rotation.Config) {
			c.Account = w.limited(t, "Workers KV Storage Read", "Workers Scripts Write")
		}, nil, fault.ExitAPI, "10000", "Account: Workers KV Storage: Edit"},
		"a token that may not write secrets": {rotation.Begun, func(t *testing.T, w *world, c *rotation.Config) {
			c.Account = w.limited(t, "Workers KV Storage Write", "Workers Scripts Read")
		}, nil, fault.ExitAPI, "set secrets of script auth-svc", "Account: Workers Scripts: Edit"},
		"a version that is not deployed": {rotation.Begun, func(t *testing.T, w *world, _ *rotation.Config) { w.undeployed(t) },
			func(t *testing.T, w *world) { w.redeploy(t) }, fault.ExitAPI, "10215", "deploy it or an older one"},
		"a key set that is held for longer": {rotation.Stable, func(_ *testing.T, w *world, c *rotation.Config) {
			c.Edge = askew{edge{w, nil}, func(s *rotation.Served) { s.MaxAge = time.Hour }, nil}
		}, nil, fault.ExitRefused, "served with max-age 1h0m0s, the contract says 5m0s", "cogctl up"},
		"tokens that live longer": {rotation.Stable, func(_ *testing.T, w *world, c *rotation.Config) {
			c.Edge = askew{edge{w, nil}, nil, func(k *rotation.Token) { k.Life = 2 * time.Hour }}
		}, nil, fault.ExitRefused, "tokens live 2h0m0s, the contract says 1h0m0s", "cogctl up"},
		"an edge that serves old keys": {rotation.Published, func(_ *testing.T, w *world, c *rotation.Config) {
			c.Edge = askew{edge{w, nil}, func(s *rotation.Served) { s.KIDs = []string{"k1"} }, nil}
		}, nil, fault.ExitInconclusive, "the edge still serves k1", "cogctl jwks resume"},
		"an auth-svc that did not get the pointer": {rotation.Published, func(_ *testing.T, w *world, c *rotation.Config) {
			began := w.clock()
			c.Edge = askew{edge{w, nil}, nil, func(k *rotation.Token) {
				if k.KID = "k1"; w.clock().Sub(began) > 20*time.Minute {
					t.Error("it was noticed late")
				}
			}}
		}, nil, fault.ExitInconclusive, "tokens are signed by k1", "cogctl up; then cogctl jwks resume"},
		"an auth-svc that does not know the pointer": {rotation.Signing, func(_ *testing.T, w *world, c *rotation.Config) {
			c.Edge = askew{edge{w, nil}, nil, func(k *rotation.Token) { k.KID = "k1" }}
		}, nil, fault.ExitInconclusive, "tokens are signed by k1", "cogctl up; then cogctl jwks resume"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, h, 60*time.Second)
			w.reachBefore(t, tt.phase)
			var before string
			r := w.operatorOf("ada", nil, func(c *rotation.Config) {
				tt.plant(t, w, c)
				if name != "no key set" {
					before = w.state(t)
				}
			})
			_, err := r.Rotate(t.Context(), false)
			if fault.ExitCode(err) != tt.exit || !strings.Contains(err.Error(), tt.says) || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Fatalf("exit %d: %v\nhint %s", fault.ExitCode(err), err, fault.HintOf(err))
			}
			if name != "no key set" && name != "an auth-svc that did not get the pointer" && w.state(t) != before {
				t.Errorf("something was changed:\n%s\n%s", before, w.state(t))
			}
			if tt.lift != nil {
				tt.lift(t, w)
			}
			_ = w.sleep(t.Context(), 3*time.Minute)
			out, err := w.operator("bob", nil).Rotate(t.Context(), false)
			if err != nil {
				t.Fatalf("once it is over: %v", err)
			}
			if err := w.finished(out); err != nil {
				t.Error(err)
			}
		})
	}
}

// reachBefore is reach, and on to where the next step of the phase is due.
func (w *world) reachBefore(t *testing.T, phase rotation.Phase) {
	t.Helper()
	if phase == rotation.Begun {
		stop := &killer{w: w}
		r := w.operatorOf("ada", stop, func(c *rotation.Config) {
			c.NewKey = func() (rotation.Key, error) { return rotation.Key{}, fault.New(fault.Internal, "no more") }
		})
		if _, err := r.Rotate(t.Context(), true); err == nil {
			t.Fatal("a key was made")
		}
	} else {
		w.reach(t, phase)
	}
	_ = w.sleep(t.Context(), w.visible+time.Second)
}

func (w *world) value(t *testing.T, key string) []byte {
	t.Helper()
	entry, err := w.store.KV().Get(w.keysNS, key)
	if err != nil {
		t.Fatal(err)
	}
	return entry.Value
}

func (w *world) put(t *testing.T, key string, value []byte) {
	t.Helper()
	if err := w.store.KV().Put(w.keysNS, key, value, store.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	w.pass(w.visible + time.Second)
}

func (w *world) drop(t *testing.T, key string) {
	t.Helper()
	if err := w.store.KV().Delete(w.keysNS, key); err != nil {
		t.Fatal(err)
	}
	w.pass(w.visible + time.Second)
}

// document spoils the document, or with nil puts the one of before back.
func (w *world) document(t *testing.T, spoil func([]byte) []byte) {
	t.Helper()
	if spoil == nil {
		w.put(t, "rotation", w.hidden)
		return
	}
	w.hidden = w.value(t, "rotation")
	w.put(t, "rotation", spoil(bytes.Clone(w.hidden)))
}

// limited is a client whose token may do what is named, and nothing else.
func (w *world) limited(t *testing.T, permissions ...string) rotation.Account {
	t.Helper()
	const token = "limited_token_of_the_test_account_123456"
	err := w.store.Update(func(tx *store.Tx) error {
		return tx.Put(store.Tokens, api.HashToken(token), store.Token{ID: "l", Name: "limited", Status: "active", Permissions: permissions})
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := cfapi.New(cfapi.Config{BaseURL: w.base, Token: token, AccountID: apitest.AccountID, RetryMax: -1})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// undeployed leaves a newest version that does not serve, and redeploy has it serve.
func (w *world) undeployed(t *testing.T) {
	t.Helper()
	w.versions(t, func(script *store.Script, _ store.Version, newest *store.Version) {
		newest.ID, newest.Number = "11111111-1111-1111-1111-111111111111", newest.Number+1
		script.LastVersion = newest.Number
	})
}

func (w *world) redeploy(t *testing.T) {
	t.Helper()
	w.versions(t, func(script *store.Script, _ store.Version, newest *store.Version) {
		script.Deployments[0].Versions[0].VersionID = newest.ID
	})
}

func (w *world) versions(t *testing.T, edit func(*store.Script, store.Version, *store.Version)) {
	t.Helper()
	err := w.store.Update(func(tx *store.Tx) error {
		var script store.Script
		if err := tx.Get(store.Scripts, "auth-svc", &script); err != nil {
			return err
		}
		all, err := store.All[store.Version](tx, store.Versions, "auth-svc/")
		if err != nil {
			return err
		}
		newest := all[0]
		for _, v := range all {
			if v.Number > newest.Number {
				newest = v
			}
		}
		edit(&script, newest, &newest)
		if err := tx.Put(store.Versions, "auth-svc/"+newest.ID, newest); err != nil {
			return err
		}
		return tx.Put(store.Scripts, "auth-svc", script)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// askew is an edge that tells of other keys or tokens than there are.
type askew struct {
	edge
	served func(*rotation.Served)
	token  func(*rotation.Token)
}

func (a askew) Served(ctx context.Context) (rotation.Served, error) {
	s, err := a.edge.Served(ctx)
	if a.served != nil {
		a.served(&s)
	}
	return s, err
}

func (a askew) Mint(ctx context.Context) (rotation.Token, error) {
	k, err := a.edge.Mint(ctx)
	if a.token != nil {
		a.token(&k)
	}
	return k, err
}

// TestABusyAPI has the API answer 429 with Retry-After again and again: the rotation waits as long as it is asked to, and goes through.
func TestABusyAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newHost(t), 0)
	r := w.operatorOf("ada", nil, func(c *rotation.Config) {
		c.Account = busy{c.Account, w, rand.New(rand.NewPCG(1, 2))}
	})
	out, err := r.Rotate(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.finished(out); err != nil {
		t.Error(err)
	}
	if !strings.Contains(w.told.String(), "Cloudflare asks to wait (429 Retry-After)") || !strings.Contains(w.told.String(), "Left:45s") {
		t.Error("the wait was not shown")
	}
}

// busy has the API refuse every third call.
type busy struct {
	rotation.Account
	w      *world
	random *rand.Rand
}

func (b busy) trouble() {
	if b.random.IntN(3) == 0 {
		b.w.faults.Throttle(1, 45*time.Second)
	}
}

func (b busy) NamespacesAt(ctx context.Context) ([]cfapi.Namespace, time.Time, error) {
	b.trouble()
	return b.Account.NamespacesAt(ctx)
}

func (b busy) CreateNamespace(ctx context.Context, title string) (cfapi.Namespace, error) {
	b.trouble()
	return b.Account.CreateNamespace(ctx, title)
}

func (b busy) KVPut(ctx context.Context, ns, key string, value []byte) error {
	b.trouble()
	return b.Account.KVPut(ctx, ns, key, value)
}

func (b busy) PatchSecrets(ctx context.Context, script string, values map[string]string) error {
	b.trouble()
	return b.Account.PatchSecrets(ctx, script, values)
}

// TestAClockThatJumps has this machine's clock jump by hours, forth and back: the API's clock decides.
func TestAClockThatJumps(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newHost(t), 120*time.Second)
	random, offset := rand.New(rand.NewPCG(3, 4)), time.Duration(0)
	var out rotation.Outcome
	err := error(fault.Unavailable)
	for tries := 0; err != nil && tries < 10; tries++ {
		r := w.operatorOf("ada", nil, func(c *rotation.Config) {
			c.Now = func() time.Time { return w.clock().Add(offset) }
			c.Sleep = func(ctx context.Context, d time.Duration) error {
				offset = time.Duration(random.IntN(9)-4) * time.Hour
				return w.sleep(ctx, d)
			}
		})
		out, err = r.Rotate(t.Context(), false)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.finished(out); err != nil {
		t.Error(err)
	}
}

// TestUnsafeSettings refuses them before anything is looked at, and shows the sum.
func TestUnsafeSettings(t *testing.T) {
	t.Parallel()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	quick := *c
	quick.Auth.JWKS.KVVisibilityMinS, quick.Auth.JWKS.KVVisibilityMaxS = 5, 10
	for name, tt := range map[string]struct {
		config rotation.Config
		says   string
	}{
		"signs too early":  {rotation.Config{Contract: c, SignAfter: 8 * time.Minute}, "--sign-after 8m0s is shorter than it takes until every reader of the key set has the new key: KV visibility 2m0s + JWKS max-age 5m0s + gateway cache 1m0s + margin 20s = 8m20s"},
		"leaves too early": {rotation.Config{Contract: c, LeaveAfter: time.Hour}, "propagation of the secret 1m0s + token life 1h0m0s + clock skew 1m0s + margin 20s = 1h2m20s"},
		"KV too quick":     {rotation.Config{Contract: &quick}, "KV is visible everywhere after 10s, Cloudflare says 1m0s or more"},
	} {
		if _, err := rotation.New(tt.config); !errors.Is(err, fault.Refused) || !strings.Contains(err.Error(), tt.says) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := rotation.New(rotation.Config{Contract: &quick, Local: true}); err != nil {
		t.Errorf("on this machine: %v", err)
	}
	if _, err := rotation.New(rotation.Config{Contract: c, SignAfter: time.Hour, LeaveAfter: 2 * time.Hour}); err != nil {
		t.Errorf("longer waits: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	c, err := contract.Load()
	if err != nil {
		f.Fatal(err)
	}
	key, err := rotation.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	whole, err := json.Marshal(rotation.Document{
		Schema: rotation.DocumentSchema, Version: 1, Written: time.Unix(1800000000, 0).UTC(), Signs: rotation.Held{KID: key.KID, Slot: "a", JWK: key.JWK()},
		Next: &rotation.Held{Slot: "b"}, Gone: []rotation.Gone{},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte(`null`))
	f.Add([]byte(`{"schema":"cognomega/rotation/v1","version":1}`))
	if _, err := rotation.Parse(whole, c.Auth.Signing); err != nil {
		f.Fatalf("a good document: %v", err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := rotation.Parse(raw, c.Auth.Signing)
		if err != nil {
			if !errors.Is(err, fault.Drift) || fault.HintOf(err) == "" {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := json.Marshal(d)
		if err != nil || d.Signs.KID == "" || d.Version < 1 {
			t.Errorf("%+v %v", d, err)
		}
		if _, err := rotation.Parse(again, c.Auth.Signing); err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}
