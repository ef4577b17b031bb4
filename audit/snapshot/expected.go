package snapshot

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// identity is true for fields that an account gives out, and that no two accounts share.
func identity(field string) bool {
	return field == "id" || field == "number" || strings.HasSuffix(field, "_id")
}

// unsaid is true for fields that the contract leaves to the account or to the build.
func unsaid(field string) bool {
	return identity(field) || slices.Contains([]string{"etag", "bundle", "location", "origin"}, field)
}

// excuse is why two values may differ, empty when they may not.
func (d *differ) excuse(at place, a, b any) string {
	if !at.isValue() && !at.holdsNames() && identity(at.field()) && d.a.Account != d.b.Account {
		return "every account gives out its own"
	}
	if d.env && at.ofDatabase() {
		return "every environment has its own database"
	}
	textA, isText := a.(string)
	textB, too := b.(string)
	if d.env && isText && too {
		_, why := d.varies(textA, textB)
		return why
	}
	return ""
}

// spare is why a thing may be missing on one side.
func (d *differ) spare(at place, v any) string {
	for _, side := range []*Snapshot{d.a, d.b} {
		if value, listed := side.optional[at.path]; listed && (value == nil || reflect.DeepEqual(value, v)) {
			return "the contract leaves it open"
		}
	}
	if len(at.keys) == 2 && at.keys[0] == secNamespaces && d.isTicket(at.keys[1]) {
		return "a key rotation left it, so that two never run at once"
	}
	return ""
}

// isTicket is true for a KV namespace that numbers the steps of key rotations: "<title of the key namespace>.rotation.<number>".
func (d *differ) isTicket(title string) bool {
	of, number, found := strings.Cut(title, ".rotation.")
	_, err := strconv.Atoi(number)
	_, inA := d.a.Content.Namespaces[of]
	_, inB := d.b.Content.Namespaces[of]
	return found && err == nil && (inA || inB)
}

// varies tells that two texts are one in two environments, what that one is called, and why they differ: each is what the
// contract says there of the same setting, or they are equal but for the hostname or the zone in them.
func (d *differ) varies(a, b string) (one, why string) {
	for _, name := range slices.Sorted(maps.Keys(d.a.Settings)) {
		if a != "" && b != "" && a == d.a.Settings[name] && b == d.b.Settings[name] {
			return "{" + name + "}", "the contract gives each environment its own " + name
		}
	}
	for _, name := range []string{"hostname", "zone"} {
		ofA, foundA := replaceName(a, d.a.Settings[name], "{"+name+"}", name == "zone")
		ofB, foundB := replaceName(b, d.b.Settings[name], "{"+name+"}", name == "zone")
		if foundA && foundB && ofA == ofB {
			return ofA, "the contract gives each environment its own " + name
		}
	}
	return "", ""
}

// replaceName puts a mark for a DNS name wherever it stands alone in a text, and not as a part of a longer name; the names
// under it count too when it is a zone.
func replaceName(text, name, mark string, zone bool) (string, bool) {
	if name == "" {
		return text, false
	}
	var out strings.Builder
	found, done := false, 0
	for {
		next := strings.Index(text[done:], name)
		if next < 0 {
			out.WriteString(text[done:])
			return out.String(), found
		}
		start, end := done+next, done+next+len(name)
		out.WriteString(text[done:start])
		if (start == 0 || !ofName(text[start-1]) || zone && text[start-1] == '.') && (end == len(text) || !ofName(text[end])) {
			out.WriteString(mark)
			found = true
		} else {
			out.WriteString(name)
		}
		done = end
	}
}

func ofName(c byte) bool {
	return c == '.' || c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
