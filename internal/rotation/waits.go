package rotation

import (
	"strings"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Term is one reason to wait.
type Term struct {
	Name string
	For  time.Duration
}

// Wait is a sum of reasons: none of them runs at the same time as another in the worst case.
type Wait struct {
	Why   string
	Terms []Term
}

// Total is the whole wait.
func (w Wait) Total() time.Duration {
	var sum time.Duration
	for _, t := range w.Terms {
		sum += t.For
	}
	return sum
}

// Sum spells the arithmetic: "KV visibility 2m0s + margin 20s = 2m20s".
func (w Wait) Sum() string {
	parts := make([]string, 0, len(w.Terms))
	for _, t := range w.Terms {
		parts = append(parts, t.Name+" "+t.For.String())
	}
	return strings.Join(parts, " + ") + " = " + w.Total().String()
}

// Waits are all that a rotation waits for.
type Waits struct {
	Sign    Wait // from the publication of a key until it signs
	Leave   Wait // from when a key stopped signing until it leaves the key set
	Forget  Wait // from when a key left until nobody accepts what it signed
	Gateway Wait // the same of the gateway alone, while KV answers it
	Settle  Wait // from when another program took a step until what it wrote can be seen
}

// stepLimit is how long one step may take from its ticket to its document; a program that needs longer gives up.
const stepLimit = time.Minute

// leastVisibility is what Cloudflare says of KV: another location may see the old value for 60 seconds or more.
const leastVisibility = time.Minute

// WaitsOf derives the waits from the contract.
func WaitsOf(a contract.Auth) Waits {
	s := func(n int) time.Duration { return time.Duration(n) * time.Second }
	visibility := Term{"KV visibility", s(a.JWKS.KVVisibilityMaxS)}
	maxAge := Term{"JWKS max-age", s(a.JWKS.MaxAgeS)}
	cache := Term{"gateway cache", s(a.JWKS.GatewayCacheS)}
	margin := Term{"margin", s(a.Signing.MarginS)}
	return Waits{
		Sign: Wait{"every reader of the key set has the new key", []Term{visibility, maxAge, cache, margin}},
		Leave: Wait{"nothing the old key signed is valid any more", []Term{
			{"propagation of the secret", s(a.Signing.PropagationS)}, {"token life", s(a.Token.LifeS)}, {"clock skew", s(a.Token.ClockSkewS)}, margin,
		}},
		Forget:  Wait{"every reader has dropped the key", []Term{visibility, maxAge}},
		Gateway: Wait{"the gateway has dropped the key", []Term{visibility, cache}},
		Settle:  Wait{"what another program wrote is visible", []Term{{"longest step", stepLimit}, visibility}},
	}
}

// Check refuses waits that would let a valid token be rejected. On this machine KV is as fast as it is set to be.
func (w Waits) Check(a contract.Auth, thisMachine bool, sign, leave time.Duration) error {
	if visibility := time.Duration(a.JWKS.KVVisibilityMaxS) * time.Second; !thisMachine && visibility < leastVisibility {
		return fault.New(fault.Refused, "unsafe: the contract says that KV is visible everywhere after %s, Cloudflare says %s or more; a key would sign after %s", visibility, leastVisibility, w.Sign.Sum()).
			WithHint("jwks.kv_visibility_max_s of contract/auth.json")
	}
	for _, o := range []struct {
		flag  string
		given time.Duration
		bound Wait
	}{{"--sign-after", sign, w.Sign}, {"--leave-after", leave, w.Leave}} {
		if o.given != 0 && o.given < o.bound.Total() {
			return fault.New(fault.Refused, "unsafe: %s %s is shorter than it takes until %s: %s", o.flag, o.given, o.bound.Why, o.bound.Sum()).
				WithHint("leave the flag out; to wait less, change what is waited for in contract/auth.json")
		}
	}
	return nil
}
