package doubles

import (
	"math"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Kind names one way in which a provider goes wrong.
type Kind string

// The kinds of fault. What the network does wrong reaches a Worker as Cloudflare shows it: an answer with one of its own 5xx numbers.
const (
	Refuse      Kind = "refuse"       // nobody listens: 521
	DNS         Kind = "dns"          // the name does not resolve: 530, error 1016
	TLS         Kind = "tls"          // the handshake fails: 525
	Reset       Kind = "reset"        // the connection ends before the answer begins
	Unauth      Kind = "401"          // the key is wrong
	Unpaid      Kind = "402"          // the account's money is used up
	Limited     Kind = "429"          // too many requests, with Retry-After when the plan has one
	Broken      Kind = "500"          // the provider's own fault
	SlowHeaders Kind = "slow-headers" // the answer does not begin
	Stall       Kind = "stall"        // the answer begins and stands still
	Cut         Kind = "cut"          // the answer begins and breaks off
	Malformed   Kind = "malformed"    // the answer begins and is no JSON
	HTML        Kind = "html"         // the answer is a web page
	Empty       Kind = "empty"        // the answer is well formed and says nothing
)

// Kinds lists every kind of fault.
func Kinds() []Kind {
	return []Kind{Refuse, DNS, TLS, Reset, Unauth, Unpaid, Limited, Broken, SlowHeaders, Stall, Cut, Malformed, HTML, Empty}
}

// Fault is a kind and the share of requests it befalls.
type Fault struct {
	Kind  Kind    `json:"kind"`
	Share float64 `json:"share"` // above 0, at most 1
}

// Plan is everything that one provider does other than answer at once.
type Plan struct {
	Faults      []Fault `json:"faults"`
	Delay       string  `json:"delay,omitempty"`         // before each answer: 200ms, uniform:100ms-300ms, lognormal:400ms or lognormal:400ms:0.8
	RetryAfterS int     `json:"retry_after_s,omitempty"` // of a 429
	After       int     `json:"after,omitempty"`         // events that a stream sends before it stalls, breaks off or turns malformed
}

// maxAfter is more events than any answer of a double has.
const maxAfter = 100_000

// Check says what is wrong with a plan.
func (p Plan) Check() error {
	sum := 0.0
	for i, f := range p.Faults {
		if !slices.Contains(Kinds(), f.Kind) {
			return fault.New(fault.Invalid, "fault %q is unknown", f.Kind).WithHint("one of: %s", names(Kinds()))
		}
		if math.IsNaN(f.Share) || f.Share <= 0 || f.Share > 1 {
			return fault.New(fault.Invalid, "fault %s befalls a share of %v of the requests, want above 0 and at most 1", f.Kind, f.Share)
		}
		if slices.ContainsFunc(p.Faults[:i], func(g Fault) bool { return g.Kind == f.Kind }) {
			return fault.New(fault.Invalid, "fault %s is given twice", f.Kind)
		}
		sum += f.Share
	}
	if sum > 1+1e-9 {
		return fault.New(fault.Invalid, "the shares add up to %.0f%%, and there are only 100%%", sum*100)
	}
	if p.RetryAfterS < 0 || p.RetryAfterS > 86400 || p.After < 0 || p.After > maxAfter {
		return fault.New(fault.Invalid, "retry_after_s wants 0 to 86400, after 0 to %d", maxAfter)
	}
	_, err := parseLatency(p.Delay)
	return err
}

func names(kinds []Kind) string {
	all := make([]string, len(kinds))
	for i, k := range kinds {
		all[i] = string(k)
	}
	return strings.Join(all, ", ")
}

// picker deals a plan's faults out evenly: of any run of requests each fault befalls its share, give or take one, and the same
// requests in every run.
type picker struct {
	faults []Fault
	debt   []float64
}

func newPicker(faults []Fault) picker {
	return picker{faults: faults, debt: make([]float64, len(faults))}
}

// next is what befalls the next request; empty for nothing.
func (p picker) next() Kind {
	const whole = 1 - 1e-9 // a share of 0.1 is never exactly a tenth
	chosen := -1
	for i, f := range p.faults {
		p.debt[i] += f.Share
		if p.debt[i] >= whole && (chosen < 0 || p.debt[i] > p.debt[chosen]) {
			chosen = i
		}
	}
	if chosen < 0 {
		return ""
	}
	p.debt[chosen]--
	return p.faults[chosen].Kind
}
