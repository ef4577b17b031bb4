package store

import (
	"encoding/binary"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// stored is a message as sent; it is written once. What changes (when it is deliverable, attempts) is in the index,
// so that a delivery does not rewrite bodies.
type stored struct {
	sent        int64 // Unix nanoseconds
	visible     int64 // Unix nanoseconds; by the delay of the send
	id          string
	contentType string
	body        []byte
}

func (m stored) encode() []byte {
	b := make([]byte, 0, 8+8+1+len(m.id)+1+len(m.contentType)+len(m.body))
	b = binary.BigEndian.AppendUint64(b, uint64(m.sent))
	b = binary.BigEndian.AppendUint64(b, uint64(m.visible))
	b = append(append(b, byte(len(m.id))), m.id...)
	b = append(append(b, byte(len(m.contentType))), m.contentType...)
	return append(b, m.body...)
}

// decodeMessage reads in place: body lives as long as raw.
func decodeMessage(raw []byte) (m stored, err error) {
	damaged := fault.Error{Kind: fault.Internal, Msg: "queue message is damaged"}
	if len(raw) < 18 {
		return m, &damaged
	}
	m.sent, m.visible = int64(binary.BigEndian.Uint64(raw)), int64(binary.BigEndian.Uint64(raw[8:]))
	rest := raw[16:]
	for _, field := range []*string{&m.id, &m.contentType} {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return m, &damaged
		}
		*field = string(rest[1 : 1+rest[0]])
		rest = rest[1+rest[0]:]
	}
	m.body = rest
	return m, nil
}

// slot is where a message stands in line: by when it is deliverable, then in the order of sending.
// For a leased one, at is the end of the lease.
type slot struct {
	at       int64
	sequence uint64
}

func (s slot) key() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(s.at)), s.sequence)
}

func parseSlot(k []byte) slot {
	return slot{at: int64(binary.BigEndian.Uint64(k)), sequence: binary.BigEndian.Uint64(k[8:])}
}

func sequenceKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }

func parseSequence(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

func encodeAttempts(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func decodeAttempts(raw []byte) int { return int(binary.BigEndian.Uint32(raw)) }

// totals are kept beside the messages and change with them in one transaction.
type totals struct {
	count, bytes int64
	inFlight     int64
	lastSent     int64 // a clock that is set back does not disorder the messages
}

func (t totals) encode() []byte {
	var b []byte
	for _, v := range []int64{t.count, t.bytes, t.inFlight, t.lastSent} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func decodeTotals(raw []byte) (t totals) {
	if len(raw) != 32 {
		return totals{}
	}
	for i, v := range []*int64{&t.count, &t.bytes, &t.inFlight, &t.lastSent} {
		*v = int64(binary.BigEndian.Uint64(raw[8*i:]))
	}
	return t
}

func moment(nanoseconds int64) time.Time { return time.Unix(0, nanoseconds).UTC() }
