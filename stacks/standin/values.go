package standin

import (
	"cmp"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// toWire turns a property into JSON's types; the keys of nested objects become snake_case, as the API has them.
func toWire(v property.Value) any {
	switch {
	case v.IsString():
		return v.AsString()
	case v.IsBool():
		return v.AsBool()
	case v.IsNumber():
		return v.AsNumber()
	case v.IsArray():
		list := []any{}
		for _, item := range v.AsArray().All {
			list = append(list, toWire(item))
		}
		return list
	case v.IsMap():
		object := map[string]any{}
		for key, item := range v.AsMap().All {
			if key != "__defaults" {
				object[snake(key)] = toWire(item)
			}
		}
		return object
	default:
		return nil
	}
}

// overlay is the declared value with what the API says put over it; members the API does not give back (passwords) stay.
func overlay(declared property.Value, live any) property.Value {
	switch live := live.(type) {
	case string:
		return property.New(live)
	case bool:
		return property.New(live)
	case float64:
		return property.New(live)
	case map[string]any:
		if !declared.IsMap() {
			return declared
		}
		merged := declared.AsMap()
		for key, v := range declared.AsMap().All {
			if got, ok := live[snake(key)]; ok {
				merged = merged.Set(key, overlay(v, got))
			}
		}
		return property.New(merged).WithSecret(declared.Secret())
	default:
		return declared
	}
}

// sameValue ignores secrecy and the order of lists: every list in the table is a set.
func sameValue(a, b property.Value) bool {
	if a.HasComputed() || b.HasComputed() {
		return false
	}
	return reflect.DeepEqual(sorted(toWire(a)), sorted(toWire(b)))
}

func sorted(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return list
}

// expand fills {x} in a path from the string properties.
func expand(path string, props property.Map) string {
	for key, v := range props.All {
		if v.IsString() {
			path = strings.ReplaceAll(path, "{"+key+"}", url.PathEscape(v.AsString()))
		}
	}
	return path
}

func snake(camel string) string {
	var b strings.Builder
	for _, r := range camel {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
