package store

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	metricsKept = 24 * time.Hour
	// maxAggregates bounds memory when versions come and go; past it the oldest minutes go first.
	maxAggregates = 50_000
)

// Metrics are aggregates of the Workers' invocations over the last 24 hours, in memory. It is safe for concurrent use.
type Metrics struct {
	now func() time.Time

	mu      sync.Mutex
	minutes map[int64]map[series]*Aggregate // by Unix minute
	size    int
}

type series struct{ script, version, status string }

func newMetrics(now func() time.Time) *Metrics {
	return &Metrics{now: now, minutes: map[int64]map[series]*Aggregate{}}
}

// Metrics are those of the Workers' invocations.
func (s *Store) Metrics() *Metrics { return s.metrics }

// Record adds one invocation.
func (m *Metrics) Record(i Invocation) {
	minute := i.At.Unix() / 60
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.aggregate(minute, series{i.Script, i.Version, i.Status})
	one.Requests++
	if i.Status != "success" {
		one.Errors++
	}
	one.Subrequests += uint64(max(i.Subrequests, 0))
	class := i.HTTPStatus / 100
	if class < 1 || class > 5 {
		class = 0
	}
	one.HTTP[class]++
	one.Wall.add(i.Wall, 1)
	one.CPU.add(i.CPU, 1)
}

func (m *Metrics) aggregate(minute int64, key series) *Aggregate {
	within := m.minutes[minute]
	if within == nil {
		within = map[series]*Aggregate{}
		m.minutes[minute] = within
	}
	one := within[key]
	if one == nil {
		if m.size >= maxAggregates {
			m.dropOldest(minute)
		}
		one = &Aggregate{Script: key.script, Version: key.version, Status: key.status, At: time.Unix(minute*60, 0).UTC()}
		within[key] = one
		m.size++
	}
	return one
}

// dropOldest makes room, but never at the cost of the minute being written.
func (m *Metrics) dropOldest(but int64) {
	oldest, found := int64(0), false
	for minute := range m.minutes {
		if minute != but && (!found || minute < oldest) {
			oldest, found = minute, true
		}
	}
	if found {
		m.size -= len(m.minutes[oldest])
		delete(m.minutes, oldest)
	}
}

// expire forgets what is older than is kept.
func (m *Metrics) expire() {
	first := m.now().Add(-metricsKept).Unix() / 60
	m.mu.Lock()
	defer m.mu.Unlock()
	for minute, within := range m.minutes {
		if minute < first {
			m.size -= len(within)
			delete(m.minutes, minute)
		}
	}
}

// Query adds up what the filter chooses, ordered by time, script, version and status.
func (m *Metrics) Query(f Filter) []Aggregate {
	if f.By == 0 {
		f.By = ByScript | ByVersion | ByStatus | ByMinute
	}
	kept := m.now().Add(-metricsKept).Unix() / 60
	sums := map[groupKey]*Aggregate{}
	m.mu.Lock()
	for minute, within := range m.minutes {
		if minute < kept || !f.covers(minute) {
			continue
		}
		for key, one := range within {
			if f.chooses(key) {
				f.sum(sums, minute, key, one)
			}
		}
	}
	m.mu.Unlock()
	return f.rows(sums)
}

type groupKey struct {
	series
	at int64
}

func (f Filter) covers(minute int64) bool {
	at := time.Unix(minute*60, 0)
	return !at.Before(f.From.Truncate(time.Minute)) && (f.To.IsZero() || at.Before(f.To))
}

func (f Filter) chooses(s series) bool {
	return (f.Script == "" || f.Script == s.script) && (f.Version == "" || f.Version == s.version) && (f.Status == "" || f.Status == s.status)
}

// group leaves of an aggregate's identity what the query keeps apart.
func (f Filter) group(minute int64, s series) (g groupKey) {
	if f.By&ByScript != 0 {
		g.script = s.script
	}
	if f.By&ByVersion != 0 {
		g.version = s.version
	}
	if f.By&ByStatus != 0 {
		g.status = s.status
	}
	switch {
	case f.By&ByMinute != 0:
		g.at = minute * 60
	case f.By&ByHour != 0:
		g.at = minute / 60 * 3600
	}
	return g
}

func (f Filter) sum(sums map[groupKey]*Aggregate, minute int64, s series, one *Aggregate) {
	g := f.group(minute, s)
	into := sums[g]
	if into == nil {
		into = &Aggregate{Script: g.script, Version: g.version, Status: g.status}
		if g.at != 0 {
			into.At = time.Unix(g.at, 0).UTC()
		}
		sums[g] = into
	}
	into.Requests += one.Requests
	into.Errors += one.Errors
	into.Subrequests += one.Subrequests
	for class, n := range one.HTTP {
		into.HTTP[class] += n
	}
	into.Wall.merge(&one.Wall)
	into.CPU.merge(&one.CPU)
}

func (f Filter) rows(sums map[groupKey]*Aggregate) []Aggregate {
	rows := make([]Aggregate, 0, len(sums))
	for _, one := range sums {
		rows = append(rows, *one)
	}
	slices.SortFunc(rows, func(a, b Aggregate) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Script, b.Script), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Status, b.Status))
	})
	if f.Limit > 0 && len(rows) > f.Limit {
		rows = rows[:f.Limit]
	}
	return rows
}
