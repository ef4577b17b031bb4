package doubles

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// maxDelay bounds what a plan may ask for.
const maxDelay = 10 * time.Minute

// latency draws how long the n-th answer waits; the same n always waits as long.
type latency func(n uint64) time.Duration

// parseLatency reads a latency profile.
func parseLatency(text string) (latency, error) {
	if text == "" {
		return func(uint64) time.Duration { return 0 }, nil
	}
	kind, rest, found := strings.Cut(text, ":")
	if !found {
		kind, rest = "constant", text
	}
	switch kind {
	case "constant":
		if d, ok := delay(rest); ok {
			return func(uint64) time.Duration { return d }, nil
		}
	case "uniform":
		from, to, _ := strings.Cut(rest, "-")
		low, okLow := delay(from)
		high, okHigh := delay(to)
		if okLow && okHigh && low <= high {
			return func(n uint64) time.Duration { return low + time.Duration(draw(n).Float64()*float64(high-low)) }, nil
		}
	case "lognormal":
		if l, ok := lognormal(rest); ok {
			return l, nil
		}
	}
	return nil, fault.New(fault.Invalid, "delay %q cannot be read", text).
		WithHint("200ms, uniform:100ms-300ms, lognormal:400ms (the median) or lognormal:400ms:0.8 (and the spread)")
}

// lognormal is how the latencies of services are spread: a median, and a long tail to the right.
func lognormal(text string) (latency, bool) {
	middle, spread, given := strings.Cut(text, ":")
	sigma := 0.5
	if given {
		s, err := strconv.ParseFloat(spread, 64)
		if err != nil || !(s >= 0 && s <= 3) {
			return nil, false
		}
		sigma = s
	}
	median, ok := delay(middle)
	return func(n uint64) time.Duration {
		return min(maxDelay, time.Duration(float64(median)*math.Exp(sigma*draw(n).NormFloat64())))
	}, ok
}

func delay(text string) (time.Duration, bool) {
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0 && d <= maxDelay
}

// draw is the n-th of a fixed sequence of random sources.
func draw(n uint64) *rand.Rand { return rand.New(rand.NewPCG(0x5eed, n)) }
