package slo

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
)

// TestOneLookIsTheExactBinomialTest compares a design that can only end at its end with the published figures for P90 at 95 %:
// what is allowed of n requests.
func TestOneLookIsTheExactBinomialTest(t *testing.T) {
	t.Parallel()
	for n, allowed := range map[int]int{28: -1, 29: 0, 100: 4, 200: 12, 500: 38, 1000: 84, 3000: 272} {
		if got := lowLimits(1-0.9, 0.05, []int{n})[0]; got != allowed {
			t.Errorf("of %d requests %d may be over, got %d", n, allowed, got)
		}
	}
	for n, allowed := range map[int]int{2994: -1, 2995: 0} {
		if got := lowLimits(1-0.999, 0.05, []int{n})[0]; got != allowed {
			t.Errorf("99.9 %% of %d: %d may fail, got %d", n, allowed, got)
		}
	}
}

// brute is the chance that a service with a share p over the limit ends with each verdict, by following every count through
// every look with binomial coefficients: another way than the one the design was made by.
func brute(d Design, p float64) (pass, fail float64) {
	alive := map[int]float64{0: 1}
	at := 0
	for _, l := range d.Looks {
		next := map[int]float64{}
		for count, chance := range alive {
			for more := 0; more <= l.N-at; more++ {
				next[count+more] += chance * binomial(l.N-at, more, p)
			}
		}
		alive, at = map[int]float64{}, l.N
		for count, chance := range next {
			switch {
			case count <= l.Pass:
				pass += chance
			case count >= l.Fail:
				fail += chance
			default:
				alive[count] = chance
			}
		}
	}
	return pass, fail
}

func binomial(n, k int, p float64) float64 {
	ln, _ := math.Lgamma(float64(n + 1))
	lk, _ := math.Lgamma(float64(k + 1))
	lnk, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(ln - lk - lnk + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

func TestErrorRatesAreExact(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		quantile, confidence float64
		n                    int
	}{{0.9, 0.95, 29}, {0.9, 0.95, 100}, {0.9, 0.95, 300}, {0.9, 0.95, 2000}, {0.5, 0.9, 80}, {0.99, 0.95, 500}} {
		d, alpha := NewDesign(tt.quantile, tt.confidence, tt.n), 1-tt.confidence
		for _, l := range d.Looks {
			if l.Pass >= l.Fail || l.Pass < -1 || l.Fail > l.N+1 {
				t.Errorf("%+v: look %+v says both", tt, l)
			}
		}
		pass, fail := brute(d, 1-tt.quantile)
		if pass > alpha+1e-9 || fail > alpha+1e-9 || pass < alpha/4 {
			t.Errorf("%+v: at the objective P(pass) = %.4f, P(fail) = %.4f, want at most %.4f and not far below", tt, pass, fail, alpha)
		}
		if worse, _ := brute(d, (1-tt.quantile)*1.2); worse > pass {
			t.Errorf("%+v: a worse service passes more often: %.4f > %.4f", tt, worse, pass)
		}
		if _, better := brute(d, (1-tt.quantile)*0.8); better > fail {
			t.Errorf("%+v: a better service fails more often: %.4f > %.4f", tt, better, fail)
		}
	}
}

// simulate runs services with a share p over the limit, each request by chance, until its verdict or the end.
func simulate(d Design, p float64, services int, seed uint64) (verdicts map[audit.Verdict]int, naive int, requests float64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	verdicts = map[audit.Verdict]int{}
	n := d.Looks[len(d.Looks)-1].N
	for range services {
		f := follow(d)
		for range n {
			if f.add(rng.Float64() < p, false) {
				break
			}
		}
		verdicts[f.verdict]++
		if float64(f.over) <= d.Over*float64(f.n)+1e-9 {
			naive++
		}
		requests += float64(f.n) / float64(services)
	}
	return verdicts, naive, requests
}

func TestTenThousandServicesAtTheObjective(t *testing.T) {
	t.Parallel()
	const services = 10_000
	for i, n := range []int{100, 300, 900, 2000} {
		d := NewDesign(0.9, 0.95, n)
		got, naive, _ := simulate(d, 0.1, services, uint64(i))
		t.Logf("%4d requests: false pass %.2f %%, false fail %.2f %%, undecided %.2f %%; a point estimate would pass %.1f %%", n,
			float64(got[audit.Pass])/100, float64(got[audit.Fail])/100, float64(got[audit.Inconclusive])/100, float64(naive)/100)
		// The true rates are proven above; of 10,000 services three standard deviations more than 5 % may fail by chance.
		if got[audit.Pass] > services/20 || got[audit.Fail] > services/20+65 {
			t.Errorf("%d requests: %v", n, got)
		}
		if naive < services/3 {
			t.Errorf("the point estimate is expected to pass about half of them, passed %d", naive)
		}
	}
}

func TestClearServicesAreDecidedEarly(t *testing.T) {
	t.Parallel()
	d := NewDesign(0.9, 0.95, 900)
	for _, tt := range []struct {
		over float64
		want audit.Verdict
		most float64 // requests, on average
	}{{0, audit.Pass, 120}, {0.02, audit.Pass, 250}, {0.06, audit.Pass, 900}, {0.15, audit.Fail, 900}, {0.5, audit.Fail, 60}, {1, audit.Fail, 40}} {
		got, _, requests := simulate(d, tt.over, 500, 7)
		t.Logf("%.0f %% over the limit: %v after %.0f requests on average", tt.over*100, got, requests)
		if got[tt.want] < 475 || requests > tt.most {
			t.Errorf("%.0f %% over: %v after %.0f requests, want %s within %.0f", tt.over*100, got, requests, tt.want, tt.most)
		}
	}
}

func TestTheLargestDesignIsQuick(t *testing.T) {
	t.Parallel()
	began := time.Now()
	d := NewDesign(0.9, 0.95, MostRequests)
	last := d.Looks[len(d.Looks)-1]
	t.Logf("%d looks in %s, least %d, last %+v", len(d.Looks), time.Since(began), d.Least(), last)
	if last.N != MostRequests || last.Pass < 9_800 || last.Pass >= 10_000 || last.Fail <= 10_000 || last.Fail > 10_200 {
		t.Errorf("got %+v", last)
	}
}

func TestAVerdictStands(t *testing.T) {
	t.Parallel()
	f := follow(NewDesign(0.9, 0.95, 100))
	n := 0
	for !f.add(false, false) {
		n++
	}
	for range 200 {
		f.add(true, false)
	}
	if f.verdict != audit.Pass || f.n != n+1 || f.over != 0 {
		t.Errorf("got %+v", f)
	}
}

// TestLateSendsCountAgainstEitherVerdict: what the generator did late proves nothing, and the rest still may.
func TestLateSendsCountAgainstEitherVerdict(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		over, late func(i int) bool
		want       audit.Verdict
	}{
		"all late, all within":      {func(int) bool { return false }, func(int) bool { return true }, audit.Inconclusive},
		"all late, all over":        {func(int) bool { return true }, func(int) bool { return true }, audit.Inconclusive},
		"the over are late":         {func(i int) bool { return i%4 == 0 }, func(i int) bool { return i%4 == 0 }, audit.Inconclusive},
		"one late, all within":      {func(int) bool { return false }, func(i int) bool { return i == 3 }, audit.Pass},
		"one late, half over":       {func(i int) bool { return i%2 == 0 }, func(i int) bool { return i == 4 }, audit.Fail},
		"a tenth late, half over":   {func(i int) bool { return i%2 == 0 }, func(i int) bool { return i%10 == 0 }, audit.Fail},
		"a tenth late, none over":   {func(int) bool { return false }, func(i int) bool { return i%10 == 0 }, audit.Inconclusive},
		"a fiftieth late, one over": {func(i int) bool { return i == 9 }, func(i int) bool { return i%50 == 0 }, audit.Pass},
	} {
		f := follow(NewDesign(0.9, 0.95, 900))
		for i := range 900 {
			f.add(tt.over(i), tt.late(i))
		}
		if f.verdict != tt.want {
			t.Errorf("%s: %s after %d, want %s", name, f.verdict, f.n, tt.want)
		}
	}
}
