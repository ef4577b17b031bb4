package rotation_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/cognomega/edge/internal/rotation"
)

type minted struct {
	first, last string
	firstAt     time.Time
	lastAt      time.Time
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
