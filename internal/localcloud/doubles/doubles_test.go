package doubles

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// Of any run of requests each fault befalls its share, and two pickers deal alike.
func TestFaultsAreDealtOutEvenly(t *testing.T) {
	t.Parallel()
	for _, faults := range [][]Fault{
		{{Limited, 0.5}}, {{Cut, 0.1}}, {{Cut, 1.0 / 3}, {Stall, 1.0 / 3}, {Empty, 1.0 / 3}}, {{Broken, 0.25}, {Limited, 0.7}}, {{DNS, 1}},
	} {
		p, q := newPicker(faults), newPicker(faults)
		got := map[Kind]int{}
		for n := 1; n <= 1000; n++ {
			k := p.next()
			if k != q.next() {
				t.Fatalf("%v: request %d differs between two runs", faults, n)
			}
			got[k]++
			for _, f := range faults {
				if want := f.Share * float64(n); math.Abs(float64(got[f.Kind])-want) > float64(len(faults)) {
					t.Fatalf("%v: %d of %d requests met %s, want %.0f", faults, got[f.Kind], n, f.Kind, want)
				}
			}
		}
	}
}

func TestLatencyProfiles(t *testing.T) {
	t.Parallel()
	for text, bounds := range map[string][3]int64{ // milliseconds: the least, the median and the most of 2001 draws
		"": {}, "40ms": {40, 40, 40}, "constant:40ms": {40, 40, 40}, "uniform:100ms-300ms": {100, 200, 300}, "lognormal:400ms": {20, 400, 8000}, "lognormal:400ms:0": {400, 400, 400},
	} {
		draw, err := parseLatency(text)
		if err != nil {
			t.Fatal(err)
		}
		below := 0
		for n := range uint64(2001) {
			d := draw(n).Milliseconds()
			if d != draw(n).Milliseconds() || d < bounds[0] || d > bounds[2] {
				t.Fatalf("%q: draw %d is %d ms", text, n, d)
			}
			if d < bounds[1] {
				below++
			}
		}
		if spread := bounds[0] != bounds[2]; spread && (below < 850 || below > 1150) || !spread && below != 0 {
			t.Errorf("%q: %d of 2001 draws are below %d ms", text, below, bounds[1])
		}
	}
}

func FuzzPlan(f *testing.F) {
	f.Add("lognormal:400ms:0.5", 0.5, 1, 2)
	f.Add("uniform:1s-", math.NaN(), -1, 0)
	f.Fuzz(func(t *testing.T, delay string, share float64, retryAfter, after int) {
		s := New(time.Now)
		if s.Plan("groq", Plan{Faults: []Fault{{Cut, share}}, Delay: delay, RetryAfterS: retryAfter, After: after}) != nil {
			return
		}
		for range 3 {
			if _, _, wait := s.Of("groq").begin(fmt.Sprint(after)); wait < 0 || wait > maxDelay {
				t.Fatalf("%q waits %v", delay, wait)
			}
		}
	})
}
