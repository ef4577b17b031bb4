package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxFileBytes = 1 << 20
	maxDepth     = 32
)

// node is one JSON value with its object keys in file order. Only one of its parts is set, told by kind.
type node struct {
	kind    nodeKind
	text    string // of a string or a number
	truth   bool
	members []member
	items   []node
}

type member struct {
	key   string
	value node
}

type nodeKind string

const (
	nullNode   nodeKind = "null"
	boolNode   nodeKind = "boolean"
	numberNode nodeKind = "number"
	stringNode nodeKind = "string"
	arrayNode  nodeKind = "array"
	objectNode nodeKind = "object"
)

// tree parses a whole file. Repeated keys are reported and the first kept; broken syntax ends the file.
type tree struct {
	file string
	dec  *json.Decoder
	rep  *report
}

func parse(file string, raw []byte, rep *report) (node, bool) {
	if len(raw) > maxFileBytes {
		rep.addf(file, "", "is larger than %d bytes", maxFileBytes)
		return node{}, false
	}
	if !utf8.Valid(raw) {
		rep.addf(file, "", "is not UTF-8")
		return node{}, false
	}
	t := &tree{file: file, dec: json.NewDecoder(bytes.NewReader(raw)), rep: rep}
	t.dec.UseNumber()
	n, err := t.value("", 0)
	if err == nil {
		if _, next := t.dec.Token(); !errors.Is(next, io.EOF) {
			err = errors.New("more text after the end of the value")
		}
	}
	if err != nil {
		line, col := position(raw, t.dec.InputOffset())
		rep.addf(file, "", "line %d, column %d: %s", line, col, plain(err))
		return node{}, false
	}
	return n, true
}

// plain says in words what encoding/json abbreviates.
func plain(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the file ends in the middle of a value"
	}
	return err.Error()
}

func (t *tree) value(path string, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	tok, err := t.dec.Token()
	if err != nil {
		return node{}, err
	}
	switch v := tok.(type) {
	case json.Delim:
		if v == '{' {
			return t.object(path, depth)
		}
		return t.array(path, depth)
	case string:
		return node{kind: stringNode, text: v}, nil
	case json.Number:
		return node{kind: numberNode, text: v.String()}, nil
	case bool:
		return node{kind: boolNode, truth: v}, nil
	default:
		return node{kind: nullNode}, nil
	}
}

func (t *tree) object(path string, depth int) (node, error) {
	n := node{kind: objectNode}
	seen := map[string]bool{}
	for t.dec.More() {
		tok, err := t.dec.Token()
		if err != nil {
			return node{}, err
		}
		key := tok.(string) // the decoder has refused anything else
		v, err := t.value(join(path, key), depth+1)
		if err != nil {
			return node{}, err
		}
		if seen[key] {
			t.rep.addf(t.file, join(path, key), "is given twice")
			continue
		}
		seen[key] = true
		n.members = append(n.members, member{key, v})
	}
	_, err := t.dec.Token()
	return n, err
}

func (t *tree) array(path string, depth int) (node, error) {
	n := node{kind: arrayNode}
	for t.dec.More() {
		v, err := t.value(index(path, len(n.items)), depth+1)
		if err != nil {
			return node{}, err
		}
		n.items = append(n.items, v)
	}
	_, err := t.dec.Token()
	return n, err
}

// canonical writes a node with sorted keys and no space, so that a digest over it ignores layout.
func (n node) canonical(w *bytes.Buffer) {
	switch n.kind {
	case objectNode:
		members := slices.Clone(n.members)
		slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.key, b.key) })
		sep := byte('{')
		for _, m := range members {
			w.WriteByte(sep)
			fmt.Fprintf(w, "%q:", m.key)
			m.value.canonical(w)
			sep = ','
		}
		if sep == '{' {
			w.WriteByte('{')
		}
		w.WriteByte('}')
	case arrayNode:
		sep := byte('[')
		for _, item := range n.items {
			w.WriteByte(sep)
			item.canonical(w)
			sep = ','
		}
		if sep == '[' {
			w.WriteByte('[')
		}
		w.WriteByte(']')
	case stringNode:
		fmt.Fprintf(w, "%q", n.text)
	case numberNode:
		w.WriteString(n.text)
	case boolNode:
		w.WriteString(strconv.FormatBool(n.truth))
	default:
		w.WriteString("null")
	}
}

// join extends a key path; a key with a dot, a slash or a space is quoted, so that a path can be read back.
func join(path, key string) string {
	if key == "" || strings.ContainsAny(key, "./ \"[]{}\n\t") {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func position(raw []byte, offset int64) (line, col int) {
	before := raw[:min(int(offset), len(raw))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, len(before) - bytes.LastIndexByte(before, '\n')
}
