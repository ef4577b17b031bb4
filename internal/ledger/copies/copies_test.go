package copies_test

import (
	"testing"
	"time"

	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/ledger/copies"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	b := ledger.Balance{Account: "ann@a.test", Balance: -6150, Held: 5, Overage: 7, Version: 4, UpdatedAtMS: now.Add(-time.Hour).UnixMilli()}
	young := b
	young.UpdatedAtMS = now.Add(-time.Second).UnixMilli()
	const rest = `,"updated_at":"2026-11-22T17:00:00.000Z","as_of":"2026-11-22T17:00:01.000Z"}`
	right := `{"balance_credits":-0.00615,"held_credits":0.000005,"owed_credits":7e-6,"version":4` + rest
	text := func(s string) *string { return &s }
	tests := map[string]struct {
		b     ledger.Balance
		text  *string
		kind  copies.Kind
		onWay bool
	}{
		"the same":                    {b, text(right), "", false},
		"nothing":                     {b, nil, copies.Missing, false},
		"nothing yet":                 {young, nil, copies.Missing, true},
		"an earlier version":          {b, text(`{"balance_credits":-0.00615,"held_credits":0,"owed_credits":0,"version":3` + rest), copies.Old, false},
		"an earlier version, a while": {young, text(`{"balance_credits":-0.00615,"held_credits":0,"owed_credits":0,"version":3` + rest), copies.Old, true},
		"a later version":             {young, text(`{"balance_credits":-0.00615,"held_credits":0,"owed_credits":0,"version":5` + rest), copies.Ahead, false},
		"another balance":             {young, text(`{"balance_credits":-0.006151,"held_credits":0.000005,"owed_credits":0.000007,"version":4` + rest), copies.Wrong, false},
		"another debt":                {b, text(`{"balance_credits":-0.00615,"held_credits":0.000005,"owed_credits":0,"version":4` + rest), copies.Wrong, false},
		"no JSON":                     {b, text("junk"), copies.Unreadable, false},
		"the platform before":         {b, text(`{"balance_credits":5,"updated_at":"2025-01-01T00:00:00.000Z"}`), copies.Unreadable, false},
		"half a micro-credit":         {b, text(`{"balance_credits":0.0000005,"held_credits":0,"owed_credits":0,"version":4` + rest), copies.Unreadable, false},
		"more than there is":          {b, text(`{"balance_credits":1e300,"held_credits":0,"owed_credits":0,"version":4` + rest), copies.Unreadable, false},
		"a text for a number":         {b, text(`{"balance_credits":"x","held_credits":0,"owed_credits":0,"version":4` + rest), copies.Unreadable, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := copies.Compare(test.b, test.text, now, time.Minute)
			if d == nil {
				d = &copies.Difference{}
			}
			if d.Kind != test.kind || d.OnWay != test.onWay {
				t.Errorf("%+v", d)
			}
		})
	}
	if d := copies.OfNobody("balance:x", right); d.Kind != copies.Foreign || d.Says != "-6150, held 5, owed 7, version 4" {
		t.Errorf("%+v", d)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"balance_credits":1e-6,"held_credits":0,"owed_credits":0,"version":4,"as_of":"2026-11-22T17:00:01Z"}`)
	f.Add(`{"balance_credits":1e999999999}`)
	f.Fuzz(func(t *testing.T, text string) {
		if c, ok := copies.Parse(text); !ok && c.Version != 0 {
			t.Error("half a copy is taken")
		}
	})
}
