package policies

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// Rule is one thing that no deployment may do, with what people ask about it.
type Rule struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Why     string `json:"why"`
	Owner   string `json:"owner"`
	Fix     string `json:"fix"`
	File    string `json:"file"`
	Example string `json:"example"` // the text of a test that it denies
}

// Result is what became of one test of the rules.
type Result struct {
	Name  string `json:"name"`
	File  string `json:"file"`
	Holds bool   `json:"holds"`
}

func all(string) bool { return true }

// Rules lists every rule by name.
func Rules() ([]Rule, error) {
	modules, err := parse(all)
	if err != nil {
		return nil, err
	}
	var rules []Rule
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		for _, r := range modules[file].Rules {
			if name := r.Head.Name.String(); !strings.HasSuffix(file, "_test.rego") && len(r.Annotations) > 0 {
				a := r.Annotations[0]
				rules = append(rules, Rule{
					Name: name, Title: a.Title, Why: custom(a, "why"), Owner: custom(a, "owner"), Fix: custom(a, "fix"), File: file,
					Example: example(modules[strings.TrimSuffix(file, ".rego")+"_test.rego"], name),
				})
			}
		}
	}
	slices.SortFunc(rules, func(a, b Rule) int { return strings.Compare(a.Name, b.Name) })
	return rules, nil
}

func custom(a *ast.Annotations, key string) string {
	text, _ := a.Custom[key].(string)
	return text
}

// example is the first test that says what a rule denies: the rule is held to it, so it cannot be out of date.
func example(tests *ast.Module, rule string) string {
	if tests == nil {
		return ""
	}
	name := "test_" + strings.TrimPrefix(rule, "stack_")
	for _, t := range tests.Rules {
		if got := t.Head.Name.String(); got == name || strings.HasPrefix(got, name+"_") {
			return string(t.Location.Text)
		}
	}
	return ""
}

// Test runs every test of the rules.
func Test(ctx context.Context) ([]Result, error) {
	modules, err := parse(all)
	if err != nil {
		return nil, err
	}
	compiler := ast.NewCompiler()
	if compiler.Compile(modules); compiler.Failed() {
		return nil, fmt.Errorf("compile the policies: %w", compiler.Errors)
	}
	var results []Result
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		m := modules[file]
		for _, r := range m.Rules {
			name := r.Head.Name.String()
			if !strings.HasPrefix(name, "test_") {
				continue
			}
			found, err := rego.New(rego.Compiler(compiler), rego.Query(m.Package.Path.String()+"."+name)).Eval(ctx)
			if err != nil {
				return nil, fmt.Errorf("run %s of %s: %w", name, file, err)
			}
			results = append(results, Result{name, file, found.Allowed()})
		}
	}
	return results, nil
}
