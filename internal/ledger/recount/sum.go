package recount

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"math/bits"
	"strconv"
)

// sum adds amounts without ever wrapping: a journal may move more than a bigint holds.
type sum struct{ hi, lo uint64 }

func (s *sum) add(amount int64) {
	lo, carry := bits.Add64(s.lo, uint64(amount), 0)
	s.lo, s.hi = lo, s.hi+carry
}

// is compares with a balance of the database, which is never below 0.
func (s sum) is(balance int64) bool { return s.hi == 0 && balance >= 0 && s.lo == uint64(balance) }

func (s sum) String() string {
	if s.hi == 0 {
		return strconv.FormatUint(s.lo, 10)
	}
	return "more than " + strconv.FormatUint(1<<64-1, 10)
}

// digest is of the set of rows, whatever the order they come in: the lane-wise sum of their SHA-256.
type digest [4]uint64

func (d *digest) add(row []byte) {
	h := sha256.Sum256(row)
	for i := range d {
		d[i] += binary.BigEndian.Uint64(h[8*i:])
	}
}

func (d digest) String() string {
	var raw [32]byte
	for i, lane := range d {
		binary.BigEndian.PutUint64(raw[8*i:], lane)
	}
	return hex.EncodeToString(raw[:])
}

// fingerprint is a sum of amounts, each times a random number that its hold's id stands for: two sides that moved the same
// amounts for the same holds have the same one, and others have not (but for a chance of 1 in 2^64). It needs no list of holds.
type fingerprint uint64

func (f *fingerprint) add(seed maphash.Seed, hold []byte, amount int64) {
	*f += fingerprint(maphash.Bytes(seed, hold)) * fingerprint(amount)
}
