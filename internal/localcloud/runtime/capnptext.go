package runtime

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// quote writes a Cap'n Proto text literal. Bytes that are not UTF-8 cannot be in one and become U+FFFD.
func quote(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// fields writes a struct literal of name, value pairs, in the order given.
func fields(pairs ...string) string {
	parts := make([]string, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		parts = append(parts, pairs[i]+" = "+pairs[i+1])
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func list(items []string) string { return "[\n    " + strings.Join(items, ",\n    ") + "\n  ]" }

func quotedList(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
