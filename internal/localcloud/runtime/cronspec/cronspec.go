// Package cronspec reads Cloudflare's cron expressions and says which minutes they name.
package cronspec

import (
	"strconv"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// Spec is a cron expression. Times are UTC.
type Spec struct {
	minute, hour, month uint64
	dom                 dayOfMonth
	dow                 dayOfWeek
}

// dayOfMonth is the third field: days, and the days that depend on the month.
type dayOfMonth struct {
	any         bool
	days        uint64
	last        []int // days before the last one: L is 0, L-3 is 3
	lastWeekday bool  // LW
	nearest     []int // 15W: the weekday nearest to the 15th
}

// dayOfWeek is the fifth field, with Sunday as 1.
type dayOfWeek struct {
	any  bool
	days uint64
	last []int    // 6L: the last Friday
	nth  [][2]int // 2#1: the first Monday
}

type field struct {
	name     string
	min, max int
	names    []string // the first is min's
}

var (
	minutes = field{"minute", 0, 59, nil}
	hours   = field{"hour", 0, 23, nil}
	days    = field{"day of the month", 1, 31, nil}
	months  = field{"month", 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
	week    = field{"day of the week", 1, 7, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}
)

// Parse reads five fields: minute, hour, day of the month, month, day of the week (1 or SUN is Sunday).
func Parse(expression string) (Spec, error) {
	var s Spec
	f := strings.Fields(strings.ToUpper(expression))
	if len(f) != 5 {
		return s, fault.New(fault.Invalid, "cron expression %.60q has %d fields, not five", expression, len(f)).
			WithHint("minute, hour, day of the month, month, day of the week")
	}
	var err error
	if s.minute, err = minutes.set(f[0]); err != nil {
		return s, err
	}
	if s.hour, err = hours.set(f[1]); err != nil {
		return s, err
	}
	if s.dom, err = parseDays(f[2]); err != nil {
		return s, err
	}
	if s.month, err = months.set(f[3]); err != nil {
		return s, err
	}
	s.dow, err = parseWeek(f[4])
	return s, err
}

// set reads a list of values, ranges and steps.
func (f field) set(text string) (uint64, error) {
	var bits uint64
	for _, item := range strings.Split(text, ",") {
		b, err := f.item(item)
		if err != nil {
			return 0, err
		}
		bits |= b
	}
	return bits, nil
}

func (f field) item(item string) (uint64, error) {
	span, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		n, err := strconv.Atoi(stepText)
		if err != nil || n < 1 || n > f.max {
			return 0, f.refuse(item)
		}
		step = n
	}
	from, to := f.min, f.max
	if span != "*" {
		first, last, ranged := strings.Cut(span, "-")
		var ok bool
		if from, ok = f.value(first); !ok {
			return 0, f.refuse(item)
		}
		switch {
		case ranged:
			if to, ok = f.value(last); !ok {
				return 0, f.refuse(item)
			}
		case !stepped:
			to = from
		}
	}
	return f.bits(from, to, step), nil
}

// bits are the values of a range; one that ends before it starts wraps around.
func (f field) bits(from, to, step int) (bits uint64) {
	if to < from {
		to += f.max - f.min + 1
	}
	for v := from; v <= to; v += step {
		bits |= 1 << (f.min + (v-f.min)%(f.max-f.min+1))
	}
	return bits
}

func (f field) value(text string) (int, bool) {
	for i, name := range f.names {
		if text == name {
			return f.min + i, true
		}
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= f.min && n <= f.max && text[0] != '+'
}

func (f field) refuse(item string) error {
	return fault.New(fault.Invalid, "%.40q is not a %s", item, f.name).WithHint("a %s is %d to %d", f.name, f.min, f.max)
}

func parseDays(text string) (d dayOfMonth, err error) {
	d.any = text == "*"
	for _, item := range strings.Split(text, ",") {
		before, isLast := strings.CutPrefix(item, "L")
		day, isNearest := strings.CutSuffix(item, "W")
		switch {
		case item == "LW":
			d.lastWeekday = true
		case isLast:
			back := 0
			if before != "" {
				if back, err = strconv.Atoi(before); err != nil || back >= 0 || back < -30 {
					return d, days.refuse(item)
				}
			}
			d.last = append(d.last, -back)
		case isNearest:
			n, ok := days.value(day)
			if !ok {
				return d, days.refuse(item)
			}
			d.nearest = append(d.nearest, n)
		default:
			b, err := days.item(item)
			if err != nil {
				return d, err
			}
			d.days |= b
		}
	}
	return d, nil
}

func parseWeek(text string) (d dayOfWeek, err error) {
	d.any = text == "*"
	for _, item := range strings.Split(text, ",") {
		day, isLast := strings.CutSuffix(item, "L")
		nthDay, nth, isNth := strings.Cut(item, "#")
		switch {
		case item == "L":
			d.days |= 1 << 7
		case isLast:
			n, ok := week.value(day)
			if !ok {
				return d, week.refuse(item)
			}
			d.last = append(d.last, n)
		case isNth:
			n, ok := week.value(nthDay)
			which, err := strconv.Atoi(nth)
			if !ok || err != nil || which < 1 || which > 5 {
				return d, week.refuse(item)
			}
			d.nth = append(d.nth, [2]int{n, which})
		default:
			b, err := week.item(item)
			if err != nil {
				return d, err
			}
			d.days |= b
		}
	}
	return d, nil
}

// Matches says whether the expression names the minute that t is in.
func (s Spec) Matches(t time.Time) bool {
	t = t.UTC()
	if s.minute&(1<<t.Minute()) == 0 || s.hour&(1<<t.Hour()) == 0 || s.month&(1<<int(t.Month())) == 0 {
		return false
	}
	switch {
	case s.dom.any:
		return s.dow.matches(t)
	case s.dow.any:
		return s.dom.matches(t)
	}
	return s.dom.matches(t) || s.dow.matches(t) // both restricted: either, as in cron
}

func lastDay(t time.Time) int { return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day() }

func (d dayOfMonth) matches(t time.Time) bool {
	if d.any || d.days&(1<<t.Day()) != 0 {
		return true
	}
	end := lastDay(t)
	for _, back := range d.last {
		if t.Day() == end-back {
			return true
		}
	}
	for _, n := range d.nearest {
		if t.Day() == nearestWeekday(t, min(n, end), end) {
			return true
		}
	}
	return d.lastWeekday && t.Day() == nearestWeekday(t, end, end)
}

// nearestWeekday is Monday to Friday nearest to a day, within the month.
func nearestWeekday(t time.Time, day, end int) int {
	switch time.Date(t.Year(), t.Month(), day, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == end {
			return day - 2
		}
		return day + 1
	}
	return day
}

func (d dayOfWeek) matches(t time.Time) bool {
	today := int(t.Weekday()) + 1
	if d.any || d.days&(1<<today) != 0 {
		return true
	}
	for _, n := range d.last {
		if n == today && t.Day() > lastDay(t)-7 {
			return true
		}
	}
	for _, n := range d.nth {
		if n[0] == today && (t.Day()+6)/7 == n[1] {
			return true
		}
	}
	return false
}
