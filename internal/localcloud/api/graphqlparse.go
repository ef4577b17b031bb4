package api

import (
	"fmt"
	"strconv"
	"strings"
)

// field is one selection of a GraphQL query, with its arguments resolved.
type field struct {
	name, alias string
	args        map[string]any
	fields      []field
}

func (f field) filter() map[string]any {
	filter, _ := f.args["filter"].(map[string]any)
	return filter
}

func (f field) limit() int {
	if n, ok := f.args["limit"].(float64); ok && n > 0 {
		return min(int(n), maxRows)
	}
	return maxRows
}

// maxDepth bounds nesting, so that a hostile query cannot exhaust the stack.
const maxDepth = 32

// queryParser reads the subset of GraphQL that queries of the analytics use: no fragments and no directives.
type queryParser struct {
	tokens    []string
	at, depth int
	variables map[string]any
}

func parseQuery(query string, variables map[string]any) ([]field, error) {
	tokens, err := tokenize(query)
	if err != nil {
		return nil, err
	}
	p := &queryParser{tokens: tokens, variables: variables}
	if p.peek() == "query" {
		p.skipHeader()
	}
	fields, err := p.selection()
	if err == nil && p.at != len(p.tokens) {
		err = p.unexpected()
	}
	return fields, err
}

func syntax(format string, args ...any) error {
	return &queryError{"error parsing query: " + fmt.Sprintf(format, args...), nil}
}

// tokenize splits a query into punctuation, names, numbers, $variables and "strings".
func tokenize(query string) ([]string, error) {
	var tokens []string
	for i := 0; i < len(query); {
		switch c := query[i]; {
		case strings.IndexByte(" \t\r\n,", c) >= 0:
			i++
		case c == '#':
			end := strings.IndexByte(query[i:], '\n')
			if end < 0 {
				return tokens, nil
			}
			i += end
		case strings.IndexByte("{}()[]:!=", c) >= 0:
			tokens = append(tokens, string(c))
			i++
		case c == '"':
			prefix, err := strconv.QuotedPrefix(query[i:])
			if err != nil {
				return nil, syntax("a string has no end")
			}
			tokens = append(tokens, prefix)
			i += len(prefix)
		default:
			end := i
			for end < len(query) && isWord(query[end]) {
				end++
			}
			if end == i {
				return nil, syntax("unexpected %q", c)
			}
			tokens = append(tokens, query[i:end])
			i = end
		}
	}
	return tokens, nil
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_$.-+", c) >= 0
}

func (p *queryParser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *queryParser) next() string {
	t := p.peek()
	p.at++
	return t
}

func (p *queryParser) unexpected() error { return syntax("unexpected %q", p.peek()) }

// skipHeader passes over the operation's name and the declarations of its variables, whose values say enough.
func (p *queryParser) skipHeader() {
	for t := p.peek(); t != "" && t != "{"; t = p.peek() {
		p.at++
		if t == "(" {
			for p.peek() != "" && p.next() != ")" {
			}
		}
	}
}

func (p *queryParser) selection() ([]field, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, syntax("nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	if p.next() != "{" {
		p.at--
		return nil, p.unexpected()
	}
	var fields []field
	for p.peek() != "}" {
		f, err := p.field()
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	p.at++
	if len(fields) == 0 {
		return nil, syntax("a selection is empty")
	}
	return fields, nil
}

func (p *queryParser) field() (f field, err error) {
	if !isName(p.peek()) {
		return f, p.unexpected()
	}
	f.name = p.next()
	f.alias = f.name
	if p.peek() == ":" {
		p.at++
		if !isName(p.peek()) {
			return f, p.unexpected()
		}
		f.name = p.next()
	}
	if p.peek() == "(" {
		p.at++
		if f.args, err = p.pairs(")"); err != nil {
			return f, err
		}
	}
	if p.peek() == "{" {
		f.fields, err = p.selection()
	}
	return f, err
}

func isName(t string) bool {
	return t != "" && (t[0] >= 'a' && t[0] <= 'z' || t[0] >= 'A' && t[0] <= 'Z' || t[0] == '_')
}

// pairs reads name: value until the closing token.
func (p *queryParser) pairs(end string) (map[string]any, error) {
	out := map[string]any{}
	for p.peek() != end {
		name := p.next()
		if !isName(name) || p.next() != ":" {
			p.at--
			return nil, p.unexpected()
		}
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		out[name] = value
	}
	p.at++
	return out, nil
}

func (p *queryParser) value() (any, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, syntax("nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	t := p.next()
	switch {
	case t == "{":
		return p.pairs("}")
	case t == "[":
		return p.list()
	case strings.HasPrefix(t, "$"):
		return p.variables[t[1:]], nil
	case strings.HasPrefix(t, `"`):
		return strconv.Unquote(t)
	case t == "true" || t == "false":
		return t == "true", nil
	case t == "null":
		return nil, nil
	case isName(t):
		return t, nil
	}
	n, err := strconv.ParseFloat(t, 64)
	if err != nil {
		p.at--
		return nil, p.unexpected()
	}
	return n, nil
}

func (p *queryParser) list() (any, error) {
	items := []any{}
	for p.peek() != "]" {
		item, err := p.value()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	p.at++
	return items, nil
}
