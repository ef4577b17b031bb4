package snapshot

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// without is a copy of f that lacks some fields.
func without(f Fields, names ...string) Fields {
	out := maps.Clone(f)
	maps.DeleteFunc(out, func(name string, _ any) bool { return slices.Contains(names, name) })
	return out
}

// tidy is a copy of f without fields that say nothing: null, "", {} and [].
func tidy(f Fields) Fields {
	out := Fields{}
	for name, v := range f {
		switch x := v.(type) {
		case nil:
		case string:
			if x != "" {
				out[name] = x
			}
		case []any:
			if len(x) > 0 {
				out[name] = x
			}
		case map[string]any:
			if inner := tidy(x); len(inner) > 0 {
				out[name] = map[string]any(inner)
			}
		default:
			out[name] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func object(v any) (Fields, bool) {
	switch x := v.(type) {
	case map[string]any:
		return x, true
	case Fields:
		return x, true
	default:
		return nil, false
	}
}

// number is the value of a JSON number, and 0 for anything else.
func number(v any) float64 {
	switch x := v.(type) {
	case json.Number:
		n, err := strconv.ParseFloat(string(x), 64)
		if err != nil {
			return 0
		}
		return n
	case float64:
		return x
	default:
		return 0
	}
}
