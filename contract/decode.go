package contract

import (
	"reflect"
	"strconv"
	"strings"
)

// decoder fills Go values from nodes. It is stricter than encoding/json: keys match by case, every field that is not
// omitempty must be there, null is nothing, and every problem of a file is reported, with its path.
type decoder struct {
	file string
	rep  *report
}

func (d decoder) into(path string, n node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		d.structure(path, n, v)
	case reflect.Map:
		d.mapping(path, n, v)
	case reflect.Slice:
		d.list(path, n, v)
	case reflect.String:
		if d.is(path, n, stringNode) {
			v.SetString(n.text)
		}
	case reflect.Bool:
		if d.is(path, n, boolNode) {
			v.SetBool(n.truth)
		}
	case reflect.Int:
		d.integer(path, n, v)
	case reflect.Float64:
		d.decimal(path, n, v)
	default:
		panic("contract: no decoding for " + v.Type().String()) // a type in types.go that nobody taught the decoder
	}
}

func (d decoder) is(path string, n node, want nodeKind) bool {
	if n.kind != want {
		d.rep.addf(d.file, path, "is %s, want %s", article(n.kind), article(want))
		return false
	}
	return true
}

func article(k nodeKind) string {
	switch k {
	case nullNode:
		return "null"
	case arrayNode, objectNode:
		return "an " + string(k)
	default:
		return "a " + string(k)
	}
}

func (d decoder) structure(path string, n node, v reflect.Value) {
	if !d.is(path, n, objectNode) {
		return
	}
	fields := map[string]int{}
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		fields[name] = i
	}
	given := map[string]bool{}
	for _, m := range n.members {
		at := join(path, m.key)
		i, known := fields[m.key]
		if !known {
			d.rep.addf(d.file, at, "is not a key known here (known: %s)", strings.Join(sorted(fields), ", "))
			continue
		}
		given[m.key] = true
		d.into(at, m.value, v.Field(i))
	}
	for i := range v.NumField() {
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if option != "omitempty" && !given[name] {
			d.rep.addf(d.file, join(path, name), "is missing")
		}
	}
	// Every entry says why it is there.
	if f := v.FieldByName("Why"); given["why"] && strings.TrimSpace(f.String()) == "" {
		d.rep.addf(d.file, join(path, "why"), "is blank")
	}
}

func (d decoder) mapping(path string, n node, v reflect.Value) {
	if !d.is(path, n, objectNode) {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.members)))
	for _, m := range n.members {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.into(join(path, m.key), m.value, elem)
		v.SetMapIndex(reflect.ValueOf(m.key), elem)
	}
}

func (d decoder) list(path string, n node, v reflect.Value) {
	if !d.is(path, n, arrayNode) {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		d.into(index(path, i), item, v.Index(i))
	}
}

func (d decoder) integer(path string, n node, v reflect.Value) {
	if !d.is(path, n, numberNode) {
		return
	}
	i, err := strconv.ParseInt(n.text, 10, 32)
	if err != nil || i < 0 {
		d.rep.addf(d.file, path, "is %s, want a whole number from 0 to 2147483647", n.text)
		return
	}
	v.SetInt(i)
}

func (d decoder) decimal(path string, n node, v reflect.Value) {
	if !d.is(path, n, numberNode) {
		return
	}
	f, err := strconv.ParseFloat(n.text, 64)
	if err != nil {
		d.rep.addf(d.file, path, "is %s, which no number here can hold", n.text)
		return
	}
	v.SetFloat(f)
}
