package rotation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/rotation"
)

// reach brings a world to a phase of its first rotation.
func (w *world) reach(t *testing.T, phase rotation.Phase) *rotation.Document {
	t.Helper()
	r := w.operator("ada", nil)
	if phase == rotation.Stable {
		return &rotation.Document{Signs: rotation.Held{KID: "k1"}}
	}
	out, err := r.Rotate(t.Context(), true)
	for err == nil && out.Document.Phase() != phase {
		_ = w.sleep(t.Context(), time.Minute)
		out, err = r.Resume(t.Context(), true)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Document
}

// readers says of every token whether each reader of the world lets it in now.
func (w *world) readers(tokens ...string) [][]*string {
	w.t.Helper()
	seen, newest := w.kv()
	if w.clock().Sub(w.setAt) >= maxAgeS*time.Second {
		w.set, w.setAt = seen, w.clock()
	}
	return w.host.ask(w.t, hostAsk{Now: w.clock().Unix(), Issuer: issuer, Check: []checkAsk{
		{w.gate, newest, tokens}, {w.gate + 1, seen, tokens}, {-1, w.set, tokens},
	}}).Checked
}

// gone is an error unless every reader refuses what the key signed, lets in what is signed now, and no slot that signs holds the key.
func (w *world) gone(kid string) error {
	fresh, err := edge{w, nil}.Mint(w.t.Context())
	if err != nil {
		return err
	}
	tokens := []string{fresh.Text}
	if m := w.tokens[kid]; m != nil {
		tokens = append(tokens, m.last)
	}
	for i, reader := range w.readers(tokens...) {
		if reader[0] != nil {
			return fmt.Errorf("reader %d refuses a fresh token of %s: %s", i, fresh.KID, *reader[0])
		}
		if len(reader) > 1 && reader[1] == nil {
			return fmt.Errorf("reader %d lets in what %s signed", i, kid)
		}
	}
	_, newest := w.kv()
	if fresh.KID == kid || strings.Contains(newest, `"`+kid+`"`) {
		return fmt.Errorf("%s signs %s, published %s", kid, fresh.KID, newest)
	}
	return w.leaked()
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	tests := map[string]struct {
		phase rotation.Phase
		key   func(d *rotation.Document) string
		role  string
		steps string
		then  rotation.Phase
	}{
		"the only key":             {rotation.Stable, func(d *rotation.Document) string { return d.Signs.KID }, "signs", "revoke store replace", rotation.Stable},
		"the key before the next":  {rotation.Published, func(d *rotation.Document) string { return d.Signs.KID }, "signs", "revoke replace", rotation.Stable},
		"the next key":             {rotation.Published, func(d *rotation.Document) string { return d.Next.KID }, "next", "drop", rotation.Stable},
		"the new key":              {rotation.Signing, func(d *rotation.Document) string { return d.Signs.KID }, "signs", "revoke store replace", rotation.Signing},
		"the key that is leaving":  {rotation.Signing, func(d *rotation.Document) string { return d.Leaving.KID }, "leaving", "drop", rotation.Stable},
		"a key that nobody knows":  {rotation.Signing, func(*rotation.Document) string { return "stranger" }, "foreign", "drop", rotation.Signing},
		"a stranger before it all": {rotation.Stable, func(*rotation.Document) string { return "stranger" }, "foreign", "drop", rotation.Stable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, h, 120*time.Second)
			kid := tt.key(w.reach(t, tt.phase))
			if kid == "stranger" {
				w.intrude(t, "stranger")
			}
			r := w.operator("eve", nil)
			rev, err := r.Revoke(t.Context(), kid)
			if err != nil {
				t.Fatalf("%v (%s)", err, fault.HintOf(err))
			}
			if got := strings.Join(rev.Steps, " "); rev.Role != tt.role || got != tt.steps || rev.Document.Phase() != tt.then {
				t.Errorf("role %s, steps %s, then %s", rev.Role, got, rev.Document.Phase())
			}
			took, measured, err := r.Measure(t.Context(), rev)
			if err != nil || measured != (tt.role == "signs") || measured && (took <= time.Second || took > r.Waits().Forget.Total()) {
				t.Errorf("measured %t: %s (%v)", measured, took, err)
			}
			_ = w.sleep(t.Context(), 8*time.Minute)
			if err := w.gone(kid); err != nil {
				t.Error(err)
			}
			if out, err := w.operator("bob", nil).Resume(t.Context(), false); err != nil || !out.Done || out.Document.Phase() != rotation.Stable {
				t.Errorf("resume: %+v %v", out.Document, err)
			}
		})
	}
}

// intrude publishes a key that no rotation made.
func (w *world) intrude(t *testing.T, kid string) {
	t.Helper()
	_, newest := w.kv()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	var public map[string]any
	if json.Unmarshal([]byte(newest), &set) != nil || json.Unmarshal(keyPool()[5].JWK(), &public) != nil {
		t.Fatal("no key set")
	}
	public["kid"] = kid
	set.Keys = append(set.Keys, public)
	raw, _ := json.Marshal(set)
	if err := w.client(nil).KVPut(t.Context(), w.keysNS, "jwks", raw); err != nil {
		t.Fatal(err)
	}
	w.pass(w.visible + time.Second)
}

// TestRevocationKilledAtEveryCall has another process finish what a killed one began.
func TestRevocationKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dry := &killer{w: newWorld(t, h, 60*time.Second)}
	if _, err := dry.w.operator("eve", dry).Revoke(t.Context(), "k1"); err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= dry.seen; at++ {
		for _, after := range []bool{false, true} {
			if after && !writes(dry.calls[at-1]) {
				continue
			}
			t.Run(fmt.Sprintf("%d %s after=%t", at, dry.calls[at-1], after), func(t *testing.T) {
				w := newWorld(t, h, 60*time.Second)
				if _, err := w.operator("eve", &killer{w: w, at: at, after: after}).Revoke(t.Context(), "k1"); err == nil && dry.calls[at-1] != "EDGE mint" && !strings.HasPrefix(dry.calls[at-1], "DELETE") {
					t.Log("the call that was cut decides nothing")
				}
				out, err := w.operator("bob", nil).Resume(t.Context(), true)
				if errors.Is(err, fault.NotFound) || err == nil && out.Document.Signs.KID == "k1" {
					_, err = w.operator("bob", nil).Revoke(t.Context(), "k1") // nothing was said yet: the operator sees that and runs it again
				}
				if err != nil {
					t.Fatal(err)
				}
				_ = w.sleep(t.Context(), 8*time.Minute)
				if err := w.gone("k1"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestRevokeBesideAStep revokes while another program holds a ticket, and what that program writes late does not bring the key back.
func TestRevokeBesideAStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newHost(t), 120*time.Second)
	d := w.reach(t, rotation.Published)
	client := w.client(nil)
	if _, err := client.CreateNamespace(t.Context(), fmt.Sprintf("cognomega-keys.rotation.%d", d.Version+1)); err != nil {
		t.Fatal(err)
	}
	_, stale := w.kv()
	before, late := w.clock(), false
	r := w.operatorOf("eve", nil, func(c *rotation.Config) {
		c.Sleep = func(ctx context.Context, d time.Duration) error {
			if !late && w.clock().Sub(before) > 50*time.Second { // the other program wakes up in the last second of its step
				late = true
				if err := client.KVPut(ctx, w.keysNS, "jwks", []byte(stale)); err != nil {
					t.Error(err)
				}
				if err := client.PatchSecrets(ctx, "auth-svc", map[string]string{"SIGNING_SLOT": "a:k1"}); err != nil {
					t.Error(err)
				}
			}
			return w.sleep(ctx, d)
		}
	})
	if _, err := r.Revoke(t.Context(), "k1"); err != nil {
		t.Fatal(err)
	}
	if took := w.clock().Sub(before); !late || took > r.Waits().Settle.Total()+time.Minute {
		t.Errorf("the revocation took %s", took)
	}
	_ = w.sleep(t.Context(), 8*time.Minute)
	if err := w.gone("k1"); err != nil {
		t.Error(err)
	}
}

// TestAProgramThatSleptIsLate stops a program before a write for longer than a step may take: it must not write then.
func TestAProgramThatSleptIsLate(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, call := range []string{"PATCH", "PUT"} {
		w := newWorld(t, h, 0)
		r := w.operatorOf("ada", nil, func(c *rotation.Config) { c.Account = &sleeper{Account: c.Account, w: w, before: call} })
		_, err := r.Rotate(t.Context(), false)
		if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "another program may have taken over") {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// sleeper is an account whose caller falls asleep as it has the ticket of its second step in hand, before it writes.
type sleeper struct {
	rotation.Account
	w      *world
	before string
	looks  int
}

func (s *sleeper) NamespacesAt(ctx context.Context) ([]cfapi.Namespace, time.Time, error) {
	all, at, err := s.Account.NamespacesAt(ctx)
	if s.looks++; s.before == "PATCH" && hasTicket(all, 2) || s.before == "PUT" && hasTicket(all, 3) {
		s.w.pass(2 * time.Hour)
	}
	return all, at, err
}

func hasTicket(all []cfapi.Namespace, number int) bool {
	for _, n := range all {
		if n.Title == fmt.Sprintf("cognomega-keys.rotation.%d", number) {
			return true
		}
	}
	return false
}

// TestRevokeAll replaces every key in each phase, also when the document is lost or broken.
func TestRevokeAll(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, phase := range []rotation.Phase{rotation.Stable, rotation.Published, rotation.Signing} {
		for name, spoil := range map[string]func(t *testing.T, w *world){
			"as it is": func(*testing.T, *world) {},
			"broken":   func(t *testing.T, w *world) { w.put(t, "rotation", []byte(`{"schema":`)) },
			"lost":     func(t *testing.T, w *world) { w.drop(t, "rotation") },
		} {
			t.Run(string(phase)+" "+name, func(t *testing.T) {
				w := newWorld(t, h, 60*time.Second)
				w.reach(t, phase)
				_ = w.sleep(t.Context(), w.visible)
				w.tick()
				spoil(t, w)
				r := w.operator("eve", nil)
				rev, err := r.RevokeAll(t.Context())
				if err != nil {
					t.Fatalf("%v (%s)", err, fault.HintOf(err))
				}
				if took, measured, err := r.Measure(t.Context(), rev); err != nil || !measured || took > r.Waits().Forget.Total() {
					t.Errorf("measured %t: %s (%v)", measured, took, err)
				}
				_ = w.sleep(t.Context(), 8*time.Minute)
				for kid := range w.tokens {
					if kid != rev.Document.Signs.KID {
						if err := w.gone(kid); err != nil {
							t.Error(err)
						}
					}
				}
				out, err := w.operator("bob", nil).Rotate(t.Context(), false) // a rotation goes on from there
				if err != nil || out.Document.Rotation != 1 || out.Document.Signs.Slot != "b" {
					t.Errorf("%+v %v", out.Document, err)
				}
			})
		}
	}
}
