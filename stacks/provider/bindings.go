package provider

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/cfapi"
)

// Binding binds one resource to a name in the script's env; bindingTypes says which fields go with which type.
type Binding struct {
	Name        string  `pulumi:"name"`
	Type        string  `pulumi:"type"`
	NamespaceID *string `pulumi:"namespaceId,optional"`
	BucketName  *string `pulumi:"bucketName,optional"`
	QueueName   *string `pulumi:"queueName,optional"`
	Service     *string `pulumi:"service,optional"`
	Entrypoint  *string `pulumi:"entrypoint,optional"`
	ClassName   *string `pulumi:"className,optional"`
	ScriptName  *string `pulumi:"scriptName,optional"`
	ID          *string `pulumi:"id,optional"`
	Dataset     *string `pulumi:"dataset,optional"`
	Text        *string `pulumi:"text,optional"`
	JSON        *string `pulumi:"json,optional"`
	Limit       *int    `pulumi:"limit,optional"`
	Period      *int    `pulumi:"period,optional"`
}

const (
	typeSecret  = "secret_text"
	typeInherit = "inherit" // the binding of that name in the version before
	typeObject  = "durable_object_namespace"
)

// bindingTypes names, for each type, the fields that must be there and those that may.
var bindingTypes = map[string]struct{ wanted, allowed []string }{
	"kv_namespace":     {wanted: []string{"namespaceId"}},
	"r2_bucket":        {wanted: []string{"bucketName"}},
	"queue":            {wanted: []string{"queueName"}},
	"service":          {wanted: []string{"service"}, allowed: []string{"entrypoint"}},
	typeObject:         {wanted: []string{"className"}, allowed: []string{"scriptName"}},
	"ai":               {},
	"version_metadata": {},
	"plain_text":       {wanted: []string{"text"}},
	"json":             {wanted: []string{"json"}},
	"hyperdrive":       {wanted: []string{"id"}},
	"ratelimit":        {wanted: []string{"namespaceId", "limit", "period"}},
	"analytics_engine": {wanted: []string{"dataset"}},
}

// textFields are the fields of text, by property name.
var textFields = []struct {
	name string
	of   func(*Binding) **string
}{
	{"namespaceId", func(b *Binding) **string { return &b.NamespaceID }},
	{"bucketName", func(b *Binding) **string { return &b.BucketName }},
	{"queueName", func(b *Binding) **string { return &b.QueueName }},
	{"service", func(b *Binding) **string { return &b.Service }},
	{"entrypoint", func(b *Binding) **string { return &b.Entrypoint }},
	{"className", func(b *Binding) **string { return &b.ClassName }},
	{"scriptName", func(b *Binding) **string { return &b.ScriptName }},
	{"id", func(b *Binding) **string { return &b.ID }},
	{"dataset", func(b *Binding) **string { return &b.Dataset }},
	{"text", func(b *Binding) **string { return &b.Text }},
	{"json", func(b *Binding) **string { return &b.JSON }},
}

// numberFields are the fields of numbers, by property name.
var numberFields = []struct {
	name string
	of   func(*Binding) **int
}{
	{"limit", func(b *Binding) **int { return &b.Limit }},
	{"period", func(b *Binding) **int { return &b.Period }},
}

// has is true when the field is given, be it empty.
func (b *Binding) has(field string) bool {
	for _, f := range textFields {
		if f.name == field {
			return *f.of(b) != nil
		}
	}
	for _, f := range numberFields {
		if f.name == field {
			return *f.of(b) != nil
		}
	}
	return false
}

// wire is the binding as the API takes it.
func (b *Binding) wire() cfapi.Binding {
	w := cfapi.Binding{
		Name: b.Name, Type: b.Type, NamespaceID: text(b.NamespaceID), BucketName: text(b.BucketName), QueueName: text(b.QueueName),
		Service: text(b.Service), Entrypoint: text(b.Entrypoint), ClassName: text(b.ClassName), ScriptName: text(b.ScriptName),
		ID: text(b.ID), Dataset: text(b.Dataset), Text: b.Text,
	}
	if b.JSON != nil {
		w.JSON = json.RawMessage(*b.JSON)
	}
	if b.Limit != nil && b.Period != nil {
		w.Simple = &cfapi.RateLimit{Limit: *b.Limit, Period: *b.Period}
	}
	return w
}

// fromWire is a live binding in the form it would have been declared in, in a script of that name.
func fromWire(w cfapi.Binding, script string) Binding {
	b := Binding{
		Name: w.Name, Type: w.Type, NamespaceID: some(w.NamespaceID), BucketName: some(w.BucketName), QueueName: some(w.QueueName),
		Service: some(w.Service), Entrypoint: some(w.Entrypoint), ClassName: some(w.ClassName), ScriptName: some(w.ScriptName),
		ID: some(w.ID), Dataset: some(w.Dataset), Text: w.Text,
	}
	if len(w.JSON) > 0 {
		b.JSON = some(string(w.JSON))
	}
	if w.Simple != nil {
		b.Limit, b.Period = &w.Simple.Limit, &w.Simple.Period
	}
	return b.normal(script)
}

// normal takes out what means nothing: answers name the script of an object binding also when it is the script itself,
// give the namespace's id too, and may write JSON differently.
func (b Binding) normal(script string) Binding {
	if b.Type == typeObject {
		b.NamespaceID = nil
		if text(b.ScriptName) == script {
			b.ScriptName = nil
		}
	}
	if b.JSON != nil {
		b.JSON = some(compactJSON(*b.JSON))
	}
	for _, f := range textFields {
		if at := f.of(&b); *at != nil && **at == "" && f.name != "text" {
			*at = nil
		}
	}
	return b
}

// compactJSON is the canonical spelling: no spaces, keys in order, numbers as the doubles that a Worker gets. Text that is not JSON stays as it is.
func compactJSON(in string) string {
	var value any
	if json.Unmarshal([]byte(in), &value) != nil {
		return in
	}
	out, err := json.Marshal(value)
	if err != nil {
		return in
	}
	return string(out)
}

// inOrderOf sorts live bindings as they were declared, others behind by name, so that a field's path means the same binding in both.
func inOrderOf(declared, live []Binding) []Binding {
	rank := map[string]int{}
	for i, b := range declared {
		rank[b.Name] = i - len(declared)
	}
	slices.SortStableFunc(live, func(a, b Binding) int {
		if d := rank[a.Name] - rank[b.Name]; d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	return live
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// blank is true for a field that is given, and empty where that means nothing.
func (b *Binding) blank(field string) bool {
	for _, f := range textFields {
		if f.name == field && f.name != "text" {
			return text(*f.of(b)) == ""
		}
	}
	for _, f := range numberFields {
		if f.name == field {
			return *f.of(b) == nil || **f.of(b) <= 0
		}
	}
	return false
}

func fieldNames() []string {
	var names []string
	for _, f := range textFields {
		names = append(names, f.name)
	}
	for _, f := range numberFields {
		names = append(names, f.name)
	}
	return names
}

func validJSON(text string) bool { return json.Valid([]byte(text)) }
