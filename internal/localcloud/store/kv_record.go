package store

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// kvRecord is one version of a key: its value, or the fact of its deletion.
type kvRecord struct {
	deleted bool
	written int64 // Unix nanoseconds
	visible int64 // Unix nanoseconds; when Workers begin to see this version
	expires int64 // Unix seconds; 0 is never
	meta    []byte
	value   []byte // in place, unless body is set
	body    string // id of the body file of a large value
	size    int64  // of the body
}

const (
	kvDeleted = 1 << iota
	kvInBody

	kvHeader = 1 + 8 + 8 + 8 + 2
	bodyRef  = 16 + 8
)

// encode writes: flags, written, visible, expires, length of metadata, metadata, then the value or the reference to it.
func (r kvRecord) encode() []byte {
	b := make([]byte, 0, kvHeader+len(r.meta)+max(len(r.value), bodyRef))
	var flags byte
	if r.deleted {
		flags |= kvDeleted
	}
	if r.body != "" {
		flags |= kvInBody
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(r.written))
	b = binary.BigEndian.AppendUint64(b, uint64(r.visible))
	b = binary.BigEndian.AppendUint64(b, uint64(r.expires))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.meta)))
	b = append(b, r.meta...)
	if r.body == "" {
		return append(b, r.value...)
	}
	id, _ := hex.DecodeString(r.body) // ours, always hex
	b = append(b, id...)
	return binary.BigEndian.AppendUint64(b, uint64(r.size))
}

// decodeKV reads a record in place: meta and value live as long as raw.
func decodeKV(raw []byte) (kvRecord, error) {
	if len(raw) < kvHeader {
		return kvRecord{}, fault.New(fault.Internal, "kv record of %d bytes is damaged", len(raw))
	}
	r := kvRecord{
		deleted: raw[0]&kvDeleted != 0,
		written: int64(binary.BigEndian.Uint64(raw[1:])),
		visible: int64(binary.BigEndian.Uint64(raw[9:])),
		expires: int64(binary.BigEndian.Uint64(raw[17:])),
	}
	rest, meta := raw[kvHeader:], int(binary.BigEndian.Uint16(raw[25:]))
	if len(rest) < meta || raw[0]&kvInBody != 0 && len(rest)-meta != bodyRef {
		return kvRecord{}, fault.New(fault.Internal, "kv record of %d bytes is damaged", len(raw))
	}
	r.meta, r.value = rest[:meta], rest[meta:]
	if raw[0]&kvInBody != 0 {
		r.body, r.size, r.value = hex.EncodeToString(r.value[:16]), int64(binary.BigEndian.Uint64(r.value[16:])), nil
	}
	return r, nil
}

// present says whether the version holds a value at the time.
func (r kvRecord) present(now time.Time) bool {
	return !r.deleted && (r.expires == 0 || now.Unix() < r.expires)
}

// seen says whether Workers see this version, or a later one, at the time. Lowering the delay shows earlier writes sooner,
// raising it does not postpone them.
func (r kvRecord) seen(now time.Time, delay time.Duration) bool {
	return min(r.visible, r.written+int64(delay)) <= now.UnixNano()
}

func (r kvRecord) expiration() time.Time {
	if r.expires == 0 {
		return time.Time{}
	}
	return time.Unix(r.expires, 0).UTC()
}

func (r kvRecord) metadata() json.RawMessage {
	if len(r.meta) == 0 {
		return nil
	}
	return append(json.RawMessage(nil), r.meta...)
}

// pastKey orders the superseded versions of a key oldest first; keys of other names do not fall between them.
func pastKey(key string, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(pastPrefix(key), sequence)
}

func pastPrefix(key string) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(key)+8), uint16(len(key)))
	return append(b, key...)
}

// sweepKey orders keys to look at by when there will be something to remove.
func sweepKey(at int64, ns, key string) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+2+len(ns)+len(key)), uint64(at))
	b = binary.BigEndian.AppendUint16(b, uint16(len(ns)))
	return append(append(b, ns...), key...)
}

func parseSweepKey(raw []byte) (at int64, ns, key string, ok bool) {
	if len(raw) < 10 {
		return 0, "", "", false
	}
	n := int(binary.BigEndian.Uint16(raw[8:]))
	if len(raw) < 10+n {
		return 0, "", "", false
	}
	return int64(binary.BigEndian.Uint64(raw)), string(raw[10 : 10+n]), string(raw[10+n:]), true
}
