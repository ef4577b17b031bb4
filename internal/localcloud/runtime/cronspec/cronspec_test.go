package cronspec

import (
	"errors"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spec    string
		yes, no []string
	}{
		"every minute":          {"* * * * *", []string{"2026-11-22 22:25"}, nil},
		"every half hour":       {"*/30 * * * *", []string{"2026-11-22 22:30", "2026-11-22 22:00"}, []string{"2026-11-22 22:31"}},
		"from 5 in tens":        {"5/10 * * * *", []string{"2026-11-22 22:05", "2026-11-22 22:55"}, []string{"2026-11-22 22:10"}},
		"weekdays by number":    {"0 17 * * 2-6", []string{"2026-11-23 17:00", "2026-11-27 17:00"}, []string{"2026-11-22 17:00", "2026-11-28 17:00"}},
		"Sunday is 1":           {"0 17 * * 1", []string{"2026-11-22 17:00"}, []string{"2026-11-23 17:00"}},
		"names":                 {"10 7 * NOV mon,fri", []string{"2026-11-23 07:10", "2026-11-27 07:10"}, []string{"2026-12-07 07:10", "2026-11-24 07:10"}},
		"last day":              {"0 0 L * *", []string{"2026-11-30 00:00", "2028-02-29 00:00"}, []string{"2026-11-29 00:00"}},
		"two before the last":   {"0 0 L-2 * *", []string{"2026-11-28 00:00"}, []string{"2026-11-30 00:00"}},
		"last weekday of month": {"59 23 LW * *", []string{"2026-10-30 23:59", "2026-11-30 23:59"}, []string{"2026-10-31 23:59"}},
		"nearest weekday":       {"0 0 15W * *", []string{"2026-11-16 00:00", "2026-08-14 00:00"}, []string{"2026-11-15 00:00"}},
		"last Friday":           {"0 18 * * 6L", []string{"2026-11-27 18:00"}, []string{"2026-11-20 18:00"}},
		"first Monday":          {"0 0 * * 2#1", []string{"2026-11-02 00:00"}, []string{"2026-11-09 00:00"}},
		"day or weekday":        {"0 0 1 * MON", []string{"2026-11-01 00:00", "2026-11-02 00:00"}, []string{"2026-11-03 00:00"}},
		"around midnight":       {"0 22-2 * * *", []string{"2026-11-02 23:00", "2026-11-02 01:00"}, []string{"2026-11-02 03:00"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse(tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []struct {
				times []string
				match bool
			}{{tt.yes, true}, {tt.no, false}} {
				for _, text := range want.times {
					at, err := time.Parse("2006-01-02 15:04", text)
					if err != nil {
						t.Fatal(err)
					}
					if got := s.Matches(at); got != want.match {
						t.Errorf("%s at %s: %v", tt.spec, text, got)
					}
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 0", "* * * * 8", "*/0 * * * *", "a * * * *", "1- * * * *", "* * LX * *", "* * * * 2#6", "+1 * * * *"} {
		if _, err := Parse(spec); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"* * * * *", "*/5 1-3 LW JAN 6L", "5/10 22-2 15W,L-3 * 2#1", "", "-", "* * * * SUN-SAT/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		spec, err := Parse(s)
		if err != nil {
			return
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for range 40 {
			spec.Matches(at)
			at = at.Add(37*time.Hour + 11*time.Minute)
		}
	})
}
