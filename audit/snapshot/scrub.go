package snapshot

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/cognomega/edge/audit"
)

// scrubbed stands where a value was that looked like a credential.
const scrubbed = "[scrubbed]"

var (
	// secretNames are what people call plain variables that should have been secrets.
	secretNames = regexp.MustCompile(`(?i)(^|[_-])(secret|password|passwd|passphrase|private_?key(_pem)?|api_?key|access_?key|token|credentials?)s?$`)
	// userInfo is the password of a URL such as a database's.
	userInfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:)[^/\s@]+@`)
)

// plain is the text of a variable, or a mark when its name or its shape says that it is a credential.
func plain(name, text string) string {
	if text != "" && secretNames.MatchString(name) {
		return scrubbed
	}
	return userInfo.ReplaceAllString(audit.ScrubText(text), "${1}"+scrubbed+"@")
}

// plainJSON is plain for every text in a JSON value; a value that came as text is read first.
func plainJSON(name string, v any) any {
	switch x := v.(type) {
	case string:
		var inner any
		dec := json.NewDecoder(strings.NewReader(x))
		dec.UseNumber()
		if dec.Decode(&inner) == nil && !dec.More() {
			if _, isText := inner.(string); !isText {
				return plainJSON(name, inner)
			}
		}
		return plain(name, x)
	case []any:
		out := make([]any, len(x))
		for i, item := range x {
			out[i] = plainJSON(name, item)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for key, item := range x {
			if secretNames.MatchString(name) {
				item = scrubbed
			}
			out[key] = plainJSON(key, item)
		}
		return out
	case json.Number, float64:
		if secretNames.MatchString(name) {
			return scrubbed
		}
		return x
	default:
		return v
	}
}
