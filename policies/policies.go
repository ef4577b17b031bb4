// Package policies holds what no deployment may do, as Rego, and judges planned resources by it.
package policies

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"sort"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

//go:embed *.rego
var files embed.FS

// Files are the rules and their tests.
func Files() fs.FS { return files }

// The input document of a rule is the one that pulumi-policy-opa gives, by which the same files run there: __type, __urn, __name and
// __properties of a resource for deny_*, {"resources": [...]} for stack_deny_*. Ours adds op, the planned operation, and __old, the inputs before it.

// Document is one planned resource.
type Document map[string]any

// Context is what rules know beside the resources, as data.context.
type Context map[string]any

// Violation is one rule broken by one resource, or by all of them together (URN is then empty).
type Violation struct {
	Rule, Title, Message, URN string
}

// Set is every rule, ready to judge.
type Set struct {
	query  rego.PreparedEvalQuery
	titles map[string]string
}

const root = "data.cognomega.policy"

// Load compiles the rules. Tests are left out.
func Load(ctx context.Context, facts Context) (*Set, error) {
	modules, err := parse(func(name string) bool { return !strings.HasSuffix(name, "_test.rego") })
	if err != nil {
		return nil, err
	}
	s := &Set{titles: titles(modules)}
	options := []func(*rego.Rego){rego.Query(root), rego.Store(inmem.NewFromObject(map[string]any{"context": map[string]any(facts)})), rego.StrictBuiltinErrors(true)}
	for _, m := range modules {
		options = append(options, rego.ParsedModule(m))
	}
	if s.query, err = rego.New(options...).PrepareForEval(ctx); err != nil {
		return nil, fmt.Errorf("compile the policies: %w", err)
	}
	return s, nil
}

func parse(want func(name string) bool) (map[string]*ast.Module, error) {
	names, err := fs.Glob(files, "*.rego")
	if err != nil {
		return nil, err
	}
	modules := map[string]*ast.Module{}
	for _, name := range names {
		if !want(name) {
			continue
		}
		raw, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if modules[name], err = ast.ParseModuleWithOpts(name, string(raw), ast.ParserOptions{ProcessAnnotation: true}); err != nil {
			return nil, fmt.Errorf("parse policy %s: %w", name, err)
		}
	}
	return modules, nil
}

func titles(modules map[string]*ast.Module) map[string]string {
	byRule := map[string]string{}
	for _, m := range modules {
		for _, rule := range m.Rules {
			for _, a := range rule.Annotations {
				if a.Title != "" {
					byRule[string(rule.Head.Name)] = a.Title
				}
			}
		}
	}
	return byRule
}

// Rules is the number of rules in the set.
func (s *Set) Rules() int { return len(s.titles) }

// Judge lists what the planned resources break, each and all together. Those that will be gone take no part in stack rules.
func (s *Set) Judge(ctx context.Context, docs []Document) ([]Violation, error) {
	each, err := s.JudgeEach(ctx, docs)
	if err != nil {
		return nil, err
	}
	remain := []any{}
	for _, d := range docs {
		if d["op"] != "delete" && d["op"] != "delete-replaced" {
			remain = append(remain, map[string]any(d))
		}
	}
	together, err := s.eval(ctx, map[string]any{"resources": remain}, "stack_deny_")
	return append(each, together...), err
}

// JudgeEach lists what single resources break, for a plan that is not complete.
func (s *Set) JudgeEach(ctx context.Context, docs []Document) ([]Violation, error) {
	var all []Violation
	for _, d := range docs {
		found, err := s.eval(ctx, map[string]any(d), "deny_")
		if err != nil {
			return nil, err
		}
		for i := range found {
			found[i].URN, _ = d["__urn"].(string)
		}
		all = append(all, found...)
	}
	return all, nil
}

// eval reads every rule of the prefix under input, in a fixed order.
func (s *Set) eval(ctx context.Context, input map[string]any, prefix string) ([]Violation, error) {
	results, err := s.query.Eval(ctx, rego.EvalInput(input))
	if err != nil {
		return nil, fmt.Errorf("judge by the policies: %w", err)
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("judge by the policies: no result")
	}
	packages, _ := results[0].Expressions[0].Value.(map[string]any)
	var found []Violation
	for _, rules := range packages {
		byName, _ := rules.(map[string]any)
		for name, messages := range byName {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			list, _ := messages.([]any)
			for _, m := range list {
				found = append(found, Violation{Rule: name, Title: s.titles[name], Message: fmt.Sprint(m)})
			}
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Rule+found[i].Message < found[j].Rule+found[j].Message })
	return found, nil
}
