package store

import (
	"math/bits"
	"slices"
	"time"
)

// Histogram counts durations in buckets whose width is 1/16 of their power of two of microseconds, so a quantile is
// within 3.2 % of the truth. Only buckets in use take memory. The zero value is empty; it is not safe for concurrent use.
type Histogram struct {
	buckets []bucketCount // by index
	count   uint64
	sum     time.Duration
}

type bucketCount struct {
	index uint16
	n     uint32
}

const subBuckets = 16

// bucketOf gives each of the first 16 microseconds a bucket, then 16 to each power of two.
func bucketOf(d time.Duration) uint16 {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < subBuckets {
		return uint16(us)
	}
	shift := bits.Len64(us) - 5 // leaves the leading one and four bits
	return uint16(shift*subBuckets) + uint16(us>>shift)
}

// middleOf is the value that stands for a bucket.
func middleOf(index uint16) time.Duration {
	if index < subBuckets {
		return time.Duration(index) * time.Microsecond
	}
	shift := index/subBuckets - 1
	low := uint64(index%subBuckets+subBuckets) << shift
	return time.Duration(low)*time.Microsecond + time.Duration(uint64(1)<<shift)*time.Microsecond/2
}

func (h *Histogram) add(d time.Duration, n uint32) {
	h.count += uint64(n)
	h.sum += time.Duration(n) * max(d, 0)
	h.addBucket(bucketOf(d), n)
}

func (h *Histogram) addBucket(index uint16, n uint32) {
	i, found := slices.BinarySearchFunc(h.buckets, index, func(b bucketCount, index uint16) int { return int(b.index) - int(index) })
	if !found {
		h.buckets = slices.Insert(h.buckets, i, bucketCount{index: index})
	}
	h.buckets[i].n += n
}

func (h *Histogram) merge(from *Histogram) {
	h.count += from.count
	h.sum += from.sum
	for _, b := range from.buckets {
		h.addBucket(b.index, b.n)
	}
}

// Quantile gives the duration that a share q of those recorded do not exceed, within 3.2 %; 0 when none was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := max(1, uint64(q*float64(h.count)+0.999999))
	seen := uint64(0)
	for _, b := range h.buckets {
		if seen += uint64(b.n); seen >= rank {
			return middleOf(b.index)
		}
	}
	return 0
}

// Sum is the exact sum of what was recorded.
func (h *Histogram) Sum() time.Duration { return h.sum }

// Count is how many were recorded.
func (h *Histogram) Count() uint64 { return h.count }
