package store_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func TestMetricsQuantiles(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := open(t, t.TempDir(), store.Options{Now: c.Now}).Metrics()
	rnd := rand.New(rand.NewPCG(5, 5))
	var walls []time.Duration
	for range 20_000 { // from 10 us to 100 s, evenly over the magnitudes
		d := time.Duration(math.Pow(10, 4+7*rnd.Float64()))
		walls = append(walls, d)
		m.Record(store.Invocation{Script: "s", Status: "success", At: c.Now().Add(-time.Duration(rnd.IntN(600)) * time.Second), Wall: d, CPU: d / 10})
	}
	slices.Sort(walls)
	rows := m.Query(store.Filter{By: store.ByScript})
	if len(rows) != 1 || rows[0].Requests != 20_000 || rows[0].Wall.Count() != 20_000 {
		t.Fatalf("%d rows", len(rows))
	}
	var sum time.Duration
	for _, d := range walls {
		sum += d
	}
	if rows[0].Wall.Sum() != sum {
		t.Errorf("sum %s, want %s", rows[0].Wall.Sum(), sum)
	}
	for _, q := range []float64{0, 0.25, 0.5, 0.9, 0.99, 0.999, 1} {
		want := walls[max(0, int(math.Ceil(q*20_000))-1)]
		for name, got := range map[string]time.Duration{"wall": rows[0].Wall.Quantile(q), "cpu": rows[0].CPU.Quantile(q) * 10} {
			if off := math.Abs(float64(got-want)) / float64(want); off > 0.04 && (want > time.Millisecond || name == "wall") {
				t.Errorf("%s P%g is %s, want %s", name, 100*q, got, want)
			}
		}
	}
	if got := new(store.Histogram).Quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %s", got)
	}
}

func TestMetricsQuery(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := open(t, t.TempDir(), store.Options{Now: c.Now}).Metrics()
	now := c.Now()
	record := func(script, version, status string, ago time.Duration, http int) {
		m.Record(store.Invocation{Script: script, Version: version, Status: status, At: now.Add(-ago), Wall: time.Second, HTTPStatus: http, Subrequests: 2})
	}
	record("a", "1", "success", 0, 200)
	record("a", "1", "success", 30*time.Second, 503) // the minute before
	record("a", "2", "scriptThrewException", 0, 500)
	record("b", "1", "success", 0, 0)
	record("a", "1", "success", 25*time.Hour, 200) // too old
	for name, test := range map[string]struct {
		f    store.Filter
		want string
	}{
		"each":        {store.Filter{}, "11:59 a 1 success 1/0; 12:00 a 1 success 1/0; 12:00 a 2 scriptThrewException 1/1; 12:00 b 1 success 1/0"},
		"a script":    {store.Filter{Script: "a", By: store.ByScript}, "a 3/1"},
		"by version":  {store.Filter{Script: "a", By: store.ByVersion}, "1 2/0; 2 1/1"},
		"by hour":     {store.Filter{By: store.ByHour}, "11:00 1/0; 12:00 3/1"},
		"from":        {store.Filter{From: now, By: store.ByScript}, "a 2/1; b 1/0"},
		"to":          {store.Filter{To: now, By: store.ByScript}, "a 1/0"},
		"a status":    {store.Filter{Status: "success", By: store.ByStatus}, "success 3/0"},
		"a limit":     {store.Filter{Limit: 1}, "11:59 a 1 success 1/0"},
		"no such one": {store.Filter{Script: "c"}, ""},
	} {
		if got := rows(m.Query(test.f)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	all := m.Query(store.Filter{By: store.ByHour, From: now})[0]
	if all.HTTP != [6]uint64{0: 1, 2: 1, 5: 1} || all.Subrequests != 6 {
		t.Errorf("%+v", all)
	}
}

func rows(all []store.Aggregate) string {
	var lines []string
	for _, a := range all {
		var words []string
		if !a.At.IsZero() {
			words = append(words, a.At.Format("15:04"))
		}
		for _, w := range []string{a.Script, a.Version, a.Status} {
			if w != "" {
				words = append(words, w)
			}
		}
		lines = append(lines, strings.Join(append(words, string(rune('0'+a.Requests))+"/"+string(rune('0'+a.Errors))), " "))
	}
	return strings.Join(lines, "; ")
}

func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := open(t, t.TempDir(), store.Options{Now: c.Now}).Metrics()
	const recorded = 60_000
	for i := range recorded { // a version each, over a thousand minutes
		at := c.Now().Add(time.Duration(i/60-1000) * time.Minute)
		m.Record(store.Invocation{Script: "s", Version: string(rune(i)), Status: "success", At: at})
	}
	got := m.Query(store.Filter{})
	if len(got) > 50_000 || len(got) < 49_000 {
		t.Errorf("%d aggregates are kept", len(got))
	}
	if newest := got[len(got)-1].At; newest.Before(c.Now().Add(-2 * time.Minute)) {
		t.Errorf("the newest was dropped, the last is of %s", newest)
	}
}

func TestMetricsConcurrently(t *testing.T) {
	t.Parallel()
	m := open(t, t.TempDir(), store.Options{}).Metrics()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				m.Record(store.Invocation{Script: "s", Status: "success", At: time.Now(), Wall: time.Millisecond})
				m.Query(store.Filter{By: store.ByScript})
			}
		})
	}
	wg.Wait()
	if got := m.Query(store.Filter{By: store.ByScript}); len(got) != 1 || got[0].Requests != 8000 {
		t.Errorf("got %+v", got)
	}
}

func BenchmarkMetricsRecord(b *testing.B) {
	m := open(b, b.TempDir(), store.Options{}).Metrics()
	rnd := rand.New(rand.NewPCG(1, 1))
	walls := make([]time.Duration, 1024)
	for i := range walls {
		walls[i] = time.Duration(math.Exp(rnd.NormFloat64()) * float64(20*time.Millisecond))
	}
	at := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			m.Record(store.Invocation{Script: "cognomega-api", Version: "v1", Status: "success", At: at, Wall: walls[i%1024], CPU: walls[i%1024] / 8, HTTPStatus: 200})
		}
	})
}
