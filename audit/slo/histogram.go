package slo

import (
	"encoding/json"
	"slices"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
)

// Bucket counts the answers from one latency up to another.
type Bucket struct {
	FromMS float64 `json:"from_ms"`
	ToMS   float64 `json:"to_ms"`
	Count  int     `json:"count"`
}

// Histogram spreads the good answers over n buckets from the quickest to P99; the last one also holds what is beyond.
func Histogram(e Evidence, n int) []Bucket {
	var good []int64
	for _, us := range e.charged() {
		if us != failed {
			good = append(good, us)
		}
	}
	if len(good) == 0 || n < 1 {
		return []Bucket{}
	}
	slices.Sort(good)
	low, high := milliseconds(good[0]), *quantile(good, 0.99)
	width := (high - low) / float64(n)
	if width <= 0 {
		n, width = 1, 0
	}
	buckets := make([]Bucket, n)
	for i := range buckets {
		buckets[i].FromMS, buckets[i].ToMS = round(low+float64(i)*width, 3), round(low+float64(i+1)*width, 3)
	}
	for _, us := range good {
		i := 0
		if width > 0 {
			i = min(int((milliseconds(us)-low)/width), n-1)
		}
		buckets[i].Count++
	}
	buckets[n-1].ToMS = milliseconds(good[len(good)-1])
	return buckets
}

// Recall reads the evidence of a proof that was verified, and what it says.
func Recall(c *contract.Contract, id string, raw []byte) (e Evidence, m Measured, err error) {
	o, ok := c.SLO[id]
	if !ok {
		return e, m, audit.Misfit("the contract has no objective %q", id)
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, m, audit.Misfit("it cannot be read: %v", err)
	}
	m, err = measure(o, &e)
	return e, m, err
}
