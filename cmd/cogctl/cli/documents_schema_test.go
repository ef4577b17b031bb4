package cli_test

import (
	"encoding"
	"encoding/json"
	"path"
	"reflect"
	"strings"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/gate"
)

// choices are the values of types that have but a few.
var choices = map[reflect.Type][]any{
	reflect.TypeFor[audit.Verdict]():  {"pass", "fail", "inconclusive"},
	reflect.TypeFor[audit.Severity](): {"error", "warning", "note"},
	reflect.TypeFor[gate.State]():     {"met", "missing", "stale", "failed", "inconclusive", "foreign", "rejected"},
}

// schemaOf is the JSON Schema of what encoding/json makes of a type: the members it always has, those it may have, and no other.
type schemaOf struct {
	defs map[string]any
}

// document is the schema of a report's document: its name, then the members of its data.
func document(name string, data reflect.Type) map[string]any {
	s := &schemaOf{defs: map[string]any{}}
	for data.Kind() == reflect.Pointer {
		data = data.Elem()
	}
	object := s.object(data)
	properties := object["properties"].(map[string]any)
	properties["schema"] = map[string]any{"const": name}
	if required := object["required"].([]string); len(required) == 0 || required[0] != "schema" {
		object["required"] = append([]string{"schema"}, required...)
	}
	object["$schema"], object["$id"], object["title"] = "https://json-schema.org/draft/2020-12/schema", "https://cognomega.com/"+name, name
	if len(s.defs) > 0 {
		object["$defs"] = s.defs
	}
	return object
}

func (s *schemaOf) value(t reflect.Type) any {
	if values, ok := choices[t]; ok {
		return map[string]any{"enum": values}
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return map[string]any{"type": "string"}
	case t.Implements(reflect.TypeFor[json.Marshaler]()) && t.Kind() != reflect.Pointer:
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.value(t.Elem())
	case reflect.Struct:
		return s.reference(t)
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.value(t.Elem())}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string"}
		}
		return map[string]any{"type": "array", "items": s.value(t.Elem())}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Interface:
		return map[string]any{}
	default:
		return map[string]any{"type": "integer"}
	}
}

// reference keeps a named struct once, so that one that holds itself has an end.
func (s *schemaOf) reference(t reflect.Type) any {
	if t.Name() == "" {
		return s.object(t)
	}
	name := path.Base(t.PkgPath()) + "." + t.Name()
	if _, known := s.defs[name]; !known {
		s.defs[name] = nil
		s.defs[name] = s.object(t)
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

func (s *schemaOf) object(t reflect.Type) map[string]any {
	if t.Kind() == reflect.Map {
		return map[string]any{"type": "object", "properties": map[string]any{}, "required": []string{}, "additionalProperties": s.value(t.Elem())}
	}
	properties, required := map[string]any{}, []string{}
	s.members(t, properties, &required)
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

func (s *schemaOf) members(t reflect.Type, properties map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if f.Anonymous && name == "" && inner.Kind() == reflect.Struct {
			s.members(inner, properties, required)
			continue
		}
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		properties[name] = s.value(f.Type)
		if f.Type.Kind() == reflect.Pointer && !optional {
			properties[name] = map[string]any{"anyOf": []any{properties[name], map[string]any{"type": "null"}}}
		}
		if !optional {
			*required = append(*required, name)
		}
	}
}
