package store

import (
	"strings"
	"testing"
)

func FuzzKVCursor(f *testing.F) {
	for _, seed := range []string{"", "MWs", "MQ", "Mms", "%%", "MWs=", "MX000\nA", encodeCursor("a\x00b"), encodeCursor("\xff")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		last, err := decodeCursor(cursor)
		if err != nil {
			return
		}
		if last == "" || encodeCursor(last) != cursor {
			t.Fatalf("%q gives %q, which is written %q", cursor, last, encodeCursor(last))
		}
	})
}

func FuzzR2Cursor(f *testing.F) {
	for _, seed := range []string{"", "aw", "a2s", "Z2EtLw", "eGE", "Z\n00", sealCursor(afterGroup, "\xff\xff")} {
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, cursor, prefix string) {
		kind, last, err := decodeR2Cursor(cursor)
		if err != nil {
			return
		}
		if sealCursor(kind, last) != cursor {
			t.Fatalf("%q is written %q", cursor, sealCursor(kind, last))
		}
		from, err := R2ListOptions{Prefix: prefix, Cursor: cursor}.start()
		if err != nil || from != nil && (string(from) < prefix || string(from) <= last) {
			t.Fatalf("after %q with prefix %q a list begins at %q, %v", last, prefix, from, err)
		}
		if kind == afterGroup && strings.HasPrefix(string(from), last) {
			t.Fatalf("%q is of the group %q that was given", from, last)
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-0", "bytes=5-", "bytes=-5", "bytes=-0", "bytes=0-9223372036854775807", "bytes=9223372036854775807-", "bytes=1-0", "bytes=0-1,2-3", "Bytes = 1-2", "x"} {
		f.Add(seed, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		r := ParseRange(header)
		if r == nil || size < 0 {
			return
		}
		span, err := r.resolve(size)
		if err == nil && (span.Offset < 0 || span.Length <= 0 || span.Length > size || span.Offset > size-span.Length) {
			t.Fatalf("%q of %d bytes is %+v", header, size, span)
		}
	})
}

func FuzzRangeOptions(f *testing.F) {
	f.Add(int64(0), int64(0), int64(0), byte(7), int64(5))
	f.Add(int64(-1), int64(1<<62), int64(-9), byte(3), int64(5))
	f.Fuzz(func(t *testing.T, offset, length, suffix int64, set byte, size int64) {
		var r Range
		for i, field := range []**int64{&r.Offset, &r.Length, &r.Suffix} {
			if set&(1<<i) != 0 {
				*field = []*int64{&offset, &length, &suffix}[i]
			}
		}
		span, err := r.resolve(size)
		if err == nil && (span.Offset < 0 || span.Length <= 0 || span.Length > size || span.Offset > size-span.Length) {
			t.Fatalf("%+v of %d bytes is %+v", r, size, span)
		}
	})
}

// A record that the disk damaged is an error, and never a panic.
func FuzzRecords(f *testing.F) {
	f.Add(kvRecord{meta: []byte("{}"), value: []byte("v")}.encode())
	f.Add(kvRecord{body: strings.Repeat("ab", 16), size: 7}.encode())
	f.Add(stored{id: "id", contentType: "json", body: []byte("b")}.encode())
	f.Add(sweepKey(1, "ns", "key"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := decodeKV(raw); err == nil && raw[0]&^(kvDeleted|kvInBody) == 0 && string(r.encode()) != string(raw) {
			t.Fatalf("kv record %x is written %x", raw, r.encode())
		}
		if m, err := decodeMessage(raw); err == nil && string(m.encode()) != string(raw) {
			t.Fatalf("message %x is written %x", raw, m.encode())
		}
		if at, ns, key, ok := parseSweepKey(raw); ok && string(sweepKey(at, ns, key)) != string(raw) {
			t.Fatalf("sweep key %x is written %x", raw, sweepKey(at, ns, key))
		}
	})
}
