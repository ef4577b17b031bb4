// Package copies compares a balance as KV holds it with what the ledger says, without the code that writes those copies.
package copies

import (
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/cognomega/edge/internal/ledger"
)

// Prefix begins the key of every copy; the account follows.
const Prefix = "balance:"

// Copy is a balance as KV holds it.
type Copy struct {
	Balance, Held, Owed int64 // whole micro-credits
	Version             int64
	AsOf                time.Time
}

// Kind names how a copy and the ledger differ; the words are the reconciler's.
type Kind string

// The kinds of difference.
const (
	Missing    Kind = "missing"
	Old        Kind = "old"
	Wrong      Kind = "wrong"
	Ahead      Kind = "ahead"
	Unreadable Kind = "unreadable"
	Foreign    Kind = "foreign"
)

// Difference is a copy that does not say what the ledger says.
type Difference struct {
	Key    string `json:"key"`
	Kind   Kind   `json:"kind"`
	Says   string `json:"kv_says"`
	Ledger string `json:"ledger_says"`
	OnWay  bool   `json:"on_its_way"` // the ledger changed so lately that the copy may still be on its way

	wholeUntil time.Time // the copy leaves out only changes after it; without a copy, all
}

// Parse reads what KV holds. False: it is not in this platform's form.
func Parse(text string) (c Copy, ok bool) {
	var doc struct {
		Balance *json.Number `json:"balance_credits"`
		Held    *json.Number `json:"held_credits"`
		Owed    *json.Number `json:"owed_credits"`
		Version *int64       `json:"version"`
		AsOf    *time.Time   `json:"as_of"`
	}
	if json.Unmarshal([]byte(text), &doc) != nil || doc.Version == nil || doc.AsOf == nil {
		return c, false
	}
	for _, f := range []struct {
		into *int64
		from *json.Number
	}{{&c.Balance, doc.Balance}, {&c.Held, doc.Held}, {&c.Owed, doc.Owed}} {
		if f.from == nil {
			return c, false
		}
		if *f.into, ok = micro(*f.from); !ok {
			return c, false
		}
	}
	c.Version, c.AsOf = *doc.Version, *doc.AsOf
	return c, true
}

// micro is a number of credits in whole micro-credits; false when it is not whole, or beyond any balance.
func micro(n json.Number) (int64, bool) {
	if len(n) > 40 {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok || r.Mul(r, big.NewRat(1_000_000, 1)) == nil || !r.IsInt() || !r.Num().IsInt64() {
		return 0, false
	}
	return r.Num().Int64(), true
}

// Compare holds a copy (nil: there is none) against the ledger; nil when they agree. A change that is younger than grace may be on its
// way, which Overdue looks into.
func Compare(b ledger.Balance, text *string, now time.Time, grace time.Duration) *Difference {
	d := &Difference{Key: Prefix + b.Account, Ledger: says(b.Balance, b.Held, b.Overage, b.Version)}
	young := now.Sub(time.UnixMilli(b.UpdatedAtMS)) < grace
	if text == nil {
		d.Kind, d.Says, d.OnWay = Missing, "nothing", young
		return d
	}
	c, ok := Parse(*text)
	if !ok {
		d.Kind, d.Says = Unreadable, clipped(*text)
		return d
	}
	d.wholeUntil, d.Says = c.AsOf, says(c.Balance, c.Held, c.Owed, c.Version)
	switch {
	case c.Version < b.Version:
		d.Kind, d.OnWay = Old, young
	case c.Version > b.Version:
		d.Kind = Ahead
	case c.Balance != b.Balance || c.Held != b.Held || c.Owed != b.Overage:
		d.Kind = Wrong
	default:
		return nil
	}
	return d
}

// OfNobody is a copy of an account that the ledger does not have.
func OfNobody(key, text string) Difference {
	d := Difference{Key: key, Kind: Foreign, Says: clipped(text), Ledger: "no such account"}
	if c, ok := Parse(text); ok {
		d.Says = says(c.Balance, c.Held, c.Owed, c.Version)
	}
	return d
}

func says(balance, held, owed, version int64) string {
	text := fmt.Sprintf("%d", balance)
	if held != 0 {
		text += fmt.Sprintf(", held %d", held)
	}
	if owed != 0 {
		text += fmt.Sprintf(", owed %d", owed)
	}
	return text + fmt.Sprintf(", version %d", version)
}

func clipped(text string) string {
	if runes := []rune(text); len(runes) > 80 {
		return string(runes[:80]) + " …"
	}
	return text
}
