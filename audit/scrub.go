package audit

import (
	"regexp"
	"strings"
)

// secretShapes are texts that must never reach a file, whatever brought them there. The signature of a token is what makes
// it usable, so its header and claims may stay.
var secretShapes = []struct {
	shape *regexp.Regexp
	with  string
}{
	{regexp.MustCompile(`(eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,})\.[A-Za-z0-9_-]{8,}`), "$1.[scrubbed]"},
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----`), "[scrubbed private key]"},
	{regexp.MustCompile(`(?i)(bearer )[A-Za-z0-9_\-.~+/=]{16,}`), "$1[scrubbed]"},
	{regexp.MustCompile(`(?i)("(?:x-admin-key|x-admin-token|cf-access-client-secret|set-cookie|cookie)"\s*:\s*)(?:"[^"]*"|\[[^\]]*\])`), `$1"[scrubbed]"`},
}

// Scrub takes credentials out of a text.
func Scrub(raw []byte) []byte {
	for _, s := range secretShapes {
		raw = s.shape.ReplaceAll(raw, []byte(s.with))
	}
	return raw
}

// ScrubText is Scrub for a string.
func ScrubText(s string) string { return strings.Clone(string(Scrub([]byte(s)))) }
