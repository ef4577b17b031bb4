package ledger_test

import (
	"encoding/json"
	"testing"

	"github.com/cognomega/edge/internal/ledger"
)

// FuzzPostRaw puts any bytes between two good events: they are posted, and what was between them is named.
func FuzzPostRaw(f *testing.F) {
	l, _ := open(f, 1)
	f.Add([]byte(`{"id":"01890a5d-ac96-774b-bcce-b302099a8057","kind":"usage","account":"x@example.test","amount":5,"at_ms":1700000000000}`))
	f.Add([]byte(`{"id":"01890a5d-ac96-774b-bcce-b302099a8057","kind":"refund","account":"x@example.test","amount":1e2,"at_ms":1,"ref":null,"meta":[]}`))
	f.Add([]byte(`{"id":{},"kind":[],"account":{"a":1},"amount":"5","at_ms":[1]}`))
	f.Add([]byte(`"\u0000"`))
	f.Add([]byte("\xff\xfe{"))
	f.Add([]byte(`[[[[{"a":1e999999}]]]]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		first, last := event(ledger.Usage, "a@example.test", 7), event(ledger.Usage, "a@example.test", 7)
		one, _ := json.Marshal(first)
		two, _ := json.Marshal(last)
		r, err := l.PostRaw(t.Context(), []json.RawMessage{one, raw, two}, true)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if len(r.Outcomes) != 3 || r.Outcomes[0] != ledger.Posted || r.Outcomes[2] != ledger.Posted || r.Outcomes[1] == "" {
			t.Errorf("%q: %v", raw, r.Outcomes)
		}
	})
}
