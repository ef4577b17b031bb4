package contract

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// KeyFormat is how a stored key is spelt: literal text with {named} holes.
type KeyFormat struct {
	Why    string `json:"why"`
	Store  string `json:"store"`
	Format string `json:"format"`
}

var hole = regexp.MustCompile(`\{([a-z][a-z0-9_]*)\}`)

// Holes lists the names to fill in, in order.
func (f KeyFormat) Holes() []string {
	var names []string
	for _, m := range hole.FindAllStringSubmatch(f.Format, -1) {
		names = append(names, m[1])
	}
	return names
}

// Separators are the characters that hold a format's parts apart; no value may have one.
func (f KeyFormat) Separators() string {
	var b strings.Builder
	for _, s := range ":/" {
		if strings.ContainsRune(hole.ReplaceAllString(f.Format, ""), s) {
			b.WriteRune(s)
		}
	}
	return b.String()
}

// Key spells the stored key of a format. A value for {email} is lower-cased. A value may not be empty, nor hold a separator
// of the format or a control character: otherwise two sets of values could spell one key.
func (c *Contract) Key(format string, values map[string]string) (string, error) {
	f, ok := c.Keys[format]
	if !ok {
		return "", fmt.Errorf("no key format %q", format)
	}
	names := f.Holes()
	for _, name := range sorted(values) {
		if !slices.Contains(names, name) {
			return "", fmt.Errorf("key %s has no hole {%s}", f.Format, name)
		}
	}
	for _, name := range names {
		v := values[name]
		if v == "" || strings.ContainsAny(v, f.Separators()) || strings.ContainsFunc(v, unicode.IsControl) {
			return "", fmt.Errorf("key %s: {%s} is empty, or holds a separator or a control character", f.Format, name)
		}
	}
	key := hole.ReplaceAllStringFunc(f.Format, func(h string) string {
		name := h[1 : len(h)-1]
		if name == "email" {
			return strings.ToLower(values[name])
		}
		return values[name]
	})
	if limit := c.Stores[f.Store].Kind.MaxKeyBytes(); len(key) > limit {
		return "", fmt.Errorf("key %s is %d bytes long, limit %d", f.Format, len(key), limit)
	}
	return key, nil
}
