package routes

import "strings"

// truth is what a rule's expression comes to for requests of one host.
type truth int

const (
	never      truth = iota // no request of the host matches
	sometimes               // some may
	always                  // every one does
	unreadable              // the expression is beyond this reader
)

// expression is a filter of Cloudflare's rules language. Only what it says about the host is decided; everything else is taken
// as possible, so that "never" is certain.
type expression string

func (e expression) on(host string) truth {
	p := reader{tokens: tokens(string(e)), host: strings.ToLower(host)}
	t := p.or()
	if p.failed || p.at != len(p.tokens) || len(p.tokens) == 0 {
		return unreadable
	}
	return t
}

// tokens splits an expression into words, quoted texts (kept with a leading quote) and punctuation.
func tokens(text string) []string {
	var out []string
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '"':
			end, value := quoted(text, i+1)
			out, i = append(out, `"`+value), end
		case strings.IndexByte("(){},", c) >= 0:
			out, i = append(out, string(c)), i+1
		default:
			end := i
			for end < len(text) && strings.IndexByte(" \t\r\n\"(){},", text[end]) < 0 {
				end++
			}
			out, i = append(out, text[i:end]), end
		}
	}
	return out
}

// quoted reads up to the closing quote, undoing backslashes; it returns the position after it.
func quoted(text string, from int) (end int, value string) {
	var b strings.Builder
	for i := from; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case text[i] == '"':
			return i + 1, b.String()
		default:
			b.WriteByte(text[i])
		}
	}
	return len(text), b.String()
}

// reader is a recursive-descent reader over tokens: or, and, not, then a comparison, a call or a parenthesis.
type reader struct {
	tokens []string
	at     int
	depth  int
	host   string
	failed bool
}

func (p *reader) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *reader) next() string {
	t := p.peek()
	p.at++
	return t
}

func (p *reader) fail() truth {
	p.failed = true
	return sometimes
}

func (p *reader) or() truth {
	t := p.and()
	for !p.failed && (p.peek() == "or" || p.peek() == "||") {
		p.next()
		t = max(t, p.and())
	}
	return t
}

func (p *reader) and() truth {
	t := p.not()
	for !p.failed && (p.peek() == "and" || p.peek() == "&&") {
		p.next()
		t = min(t, p.not())
	}
	return t
}

func (p *reader) not() truth {
	if p.depth++; p.depth > 100 {
		return p.fail()
	}
	defer func() { p.depth-- }()
	switch p.peek() {
	case "not", "!":
		p.next()
		return always - p.not()
	case "(":
		p.next()
		t := p.or()
		if p.next() != ")" {
			return p.fail()
		}
		return t
	default:
		return p.atom()
	}
}

// atom reads a comparison, a call that is true or false, or a bare field.
func (p *reader) atom() truth {
	word := p.next()
	switch {
	case word == "true":
		return always
	case word == "false":
		return never
	case word == "" || strings.HasPrefix(word, `"`) || strings.ContainsAny(word, "(){},"):
		return p.fail()
	}
	field := word
	if p.peek() == "(" {
		args, ok := p.call()
		if !ok {
			return p.fail()
		}
		if t, ok := p.predicate(word, args); ok {
			return t
		}
		field = ""
		if (word == "lower" || word == "to_string") && len(args) == 1 {
			field = args[0]
		}
	}
	return p.compare(field)
}

// call reads the arguments of a function; a nested call is one argument without a value.
func (p *reader) call() (args []string, ok bool) {
	p.next()
	depth := 1
	for p.at < len(p.tokens) {
		switch t := p.next(); t {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return args, true
			}
		case ",":
		default:
			if depth == 1 {
				args = append(args, t)
			}
		}
	}
	return nil, false
}

func (p *reader) predicate(name string, args []string) (truth, bool) {
	if name != "starts_with" && name != "ends_with" && name != "any" && name != "all" {
		return never, false
	}
	if len(args) != 2 || args[0] != "http.host" || !strings.HasPrefix(args[1], `"`) {
		return sometimes, true
	}
	want := strings.ToLower(args[1][1:])
	if name == "starts_with" {
		return certain(strings.HasPrefix(p.host, want)), true
	}
	return certain(strings.HasSuffix(p.host, want)), true
}

func (p *reader) compare(field string) truth {
	op := p.next()
	switch op {
	case "eq", "==", "ne", "!=", "contains", "matches", "~", "wildcard", "in", "lt", "le", "gt", "ge", "<", "<=", ">", ">=":
	case "strict":
		op = p.next() // strict wildcard
	default:
		p.at--
		return sometimes // a bare boolean, such as ssl or a call this reader does not know
	}
	values, ok := p.values()
	if !ok {
		return p.fail()
	}
	switch field {
	case "http.host":
		return p.hostIs(op, values)
	case "http.request.full_uri":
		return p.uriIs(op, values)
	default:
		return sometimes
	}
}

// values reads one value or a set in braces. A list's name is a value that is not known.
func (p *reader) values() (values []string, ok bool) {
	if p.peek() != "{" {
		v := p.next()
		if v == "r" && strings.HasPrefix(p.peek(), `"`) {
			v = p.next() // a raw string
		}
		return []string{v}, v != "" && !strings.ContainsAny(v[:1], "(){},")
	}
	p.next()
	for p.at < len(p.tokens) {
		if v := p.next(); v != "}" {
			values = append(values, v)
			continue
		}
		return values, true
	}
	return nil, false
}

func (p *reader) hostIs(op string, values []string) truth {
	result := never
	for _, v := range values {
		text, literal := strings.CutPrefix(v, `"`)
		text = strings.ToLower(text)
		switch {
		case !literal || op == "matches" || op == "~":
			result = max(result, sometimes)
		case op == "contains":
			result = max(result, certain(strings.Contains(p.host, text)))
		case op == "wildcard":
			result = max(result, certain(glob(text, p.host)))
		case op == "eq" || op == "==" || op == "in":
			result = max(result, certain(p.host == text))
		case op == "ne" || op == "!=":
			result = max(result, certain(p.host != text))
		default:
			return sometimes
		}
	}
	return result
}

// uriIs looks at the host part of a URL or of a wildcard over URLs.
func (p *reader) uriIs(op string, values []string) truth {
	result := never
	for _, v := range values {
		text, literal := strings.CutPrefix(v, `"`)
		_, rest, isURL := strings.Cut(strings.ToLower(text), "://")
		if !literal || !isURL || op != "wildcard" && op != "eq" && op != "==" && op != "in" {
			result = max(result, sometimes)
			continue
		}
		host, _, _ := strings.Cut(rest, "/")
		start, _, wild := strings.Cut(host, "*")
		// A star reaches past the host into the path, so only the text before it can rule the host out.
		if !wild && host == p.host || wild && strings.HasPrefix(p.host+"/", start) {
			result = max(result, sometimes)
		}
	}
	return result
}

func certain(b bool) truth {
	if b {
		return always
	}
	return never
}

// glob matches a text in which * stands for anything.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}
