package runtime

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", `a"b\c`, "\x00\n\x7f", "\xff", "ü", `") , (name = "evil"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := quote(s)
		inner := q[1 : len(q)-1]
		for i := 0; i < len(inner); i++ {
			switch c := inner[i]; {
			case c == '\\':
				i++ // whatever follows is escaped
			case c == '"' || c < 0x20 || c == 0x7f:
				t.Fatalf("%q: bare %q in %s", s, c, q)
			}
		}
		if !utf8.ValidString(q) || q[0] != '"' || !strings.HasSuffix(q, `"`) {
			t.Fatalf("%q becomes %s", s, q)
		}
	})
}

func FuzzR2Request(f *testing.F) {
	for _, s := range []string{
		`{"version":1,"method":"get","object":"k","range":{"offset":"1","length":2},"onlyIf":{"etagMatches":[{"value":"x","type":"strong"}]}}`,
		`{"method":"put","md5":"AAAA","customFields":[{"k":"a","v":"b"}],"httpFields":{"cacheExpiry":"5"}}`, `{"rangeHeader":"bytes=-5"}`, `{"rangeHeader":"bytes=9223372036854775807-"}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var q r2Request
		if json.Unmarshal(b, &q) != nil {
			return
		}
		if span, err := q.span(); err == nil && span != nil && span.Length != nil && q.RangeHeader != "" && *span.Length <= 0 {
			t.Errorf("a range of %d bytes from %q", *span.Length, q.RangeHeader)
		}
		_, _ = q.checksums()
		q.OnlyIf.conditions()
		q.HTTPFields.metadata()
		q.custom()
		q.parts()
	})
}

func FuzzDataPoint(f *testing.F) {
	f.Add([]byte(`{"index1":[97],"blob1":[99,104],"double1":1.5,"double2":"NaN"}`))
	f.Add([]byte(`{"blob1":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parseEvent(b); err == nil && (len(p.Blobs) != 20 || len(p.Doubles) != 20) {
			t.Errorf("%d blobs, %d doubles", len(p.Blobs), len(p.Doubles))
		}
	})
}

func FuzzOutputLine(f *testing.F) {
	f.Add("\x01app\x01 hello")
	f.Add("\x01")
	f.Fuzz(func(t *testing.T, s string) {
		if script, text := splitMark(s); script == "" && text != s && !strings.HasPrefix(s, "\x01\x01") {
			t.Errorf("%q lost its text: %q", s, text)
		}
	})
}
