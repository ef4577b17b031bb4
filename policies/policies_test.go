package policies_test

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/policies"
)

// suite is every Rego file: the rules, and the tests by the rule they are about.
type suite struct {
	modules map[string]*ast.Module
	rules   []rule
	tests   []regoTest
}

type rule struct {
	file, pkg, name string // name: deny_previews
	subject         string // previews
	annotations     []*ast.Annotations
}

type regoTest struct{ file, pkg, name string }

func load(t *testing.T) suite {
	t.Helper()
	s := suite{modules: map[string]*ast.Module{}}
	names, err := fs.Glob(policies.Files(), "*.rego")
	if err != nil || len(names) == 0 {
		t.Fatalf("no Rego files (%v)", err)
	}
	for _, name := range names {
		raw, err := fs.ReadFile(policies.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ast.ParseModuleWithOpts(name, string(raw), ast.ParserOptions{ProcessAnnotation: true})
		if err != nil {
			t.Fatal(err)
		}
		s.modules[name] = m
		s.sort(name, m)
	}
	return s
}

func (s *suite) sort(file string, m *ast.Module) {
	pkg := strings.TrimPrefix(m.Package.Path.String(), "data.")
	for _, r := range m.Rules {
		name := r.Head.Name.String()
		subject, isRule := strings.CutPrefix(strings.TrimPrefix(name, "stack_"), "deny_")
		switch {
		case strings.HasSuffix(file, "_test.rego"):
			if strings.HasPrefix(name, "test_") {
				s.tests = append(s.tests, regoTest{file, pkg, name})
			}
		case isRule:
			s.rules = append(s.rules, rule{file, pkg, name, subject, r.Annotations})
		}
	}
}

// run evaluates one test over the modules.
func run(t *testing.T, modules map[string]*ast.Module, test regoTest) bool {
	t.Helper()
	options := []func(*rego.Rego){rego.Query("data." + test.pkg + "." + test.name)}
	for _, m := range modules {
		options = append(options, rego.ParsedModule(m))
	}
	results, err := rego.New(options...).Eval(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", test.name, err)
	}
	return results.Allowed()
}

func TestEveryRegoTestHolds(t *testing.T) {
	t.Parallel()
	s := load(t)
	for _, test := range s.tests {
		if !run(t, s.modules, test) {
			t.Errorf("%s: %s does not hold", test.file, test.name)
		}
	}
}

func TestEveryRuleSaysWhatItIsForAndWhoseItIs(t *testing.T) {
	t.Parallel()
	for _, r := range load(t).rules {
		if len(r.annotations) != 1 || r.annotations[0].Title == "" {
			t.Errorf("%s: %s has no METADATA with a title", r.file, r.name)
			continue
		}
		for _, key := range []string{"why", "owner", "fix"} {
			if text, _ := r.annotations[0].Custom[key].(string); text == "" {
				t.Errorf("%s: METADATA of %s has no %s", r.file, r.name, key)
			}
		}
	}
}

// A rule's deny tests must fail when the rule never denies, and its allow tests when it always does.
func TestEveryRuleIsTestedBothWays(t *testing.T) {
	t.Parallel()
	s := load(t)
	if len(s.rules) == 0 {
		t.Fatal("no rules")
	}
	for _, r := range s.rules {
		for _, way := range []struct{ prefix, body string }{
			{"test_deny_", "%s contains \"never\" if false"},
			{"test_allow_", "%s contains \"always\" if true"},
		} {
			tests := s.about(r, way.prefix)
			if len(tests) == 0 {
				t.Errorf("%s: %s has no test %s%s*", r.file, r.name, way.prefix, r.subject)
			}
			broken := s.with(t, r, fmt.Sprintf(way.body, r.name))
			for _, test := range tests {
				if run(t, broken, test) {
					t.Errorf("%s: %s holds whatever the rule says", test.file, test.name)
				}
			}
		}
	}
}

// about lists a rule's tests of one kind; the longest rule name that fits owns a test.
func (s suite) about(r rule, prefix string) []regoTest {
	var list []regoTest
	for _, test := range s.tests {
		subject, ok := strings.CutPrefix(test.name, prefix)
		if !ok || test.pkg != r.pkg+"_test" {
			continue
		}
		owner := ""
		for _, other := range s.rules {
			if other.pkg == r.pkg && (subject == other.subject || strings.HasPrefix(subject, other.subject+"_")) && len(other.subject) > len(owner) {
				owner = other.subject
			}
		}
		if owner == r.subject {
			list = append(list, test)
		}
	}
	return list
}

// with is the suite with one rule replaced.
func (s suite) with(t *testing.T, r rule, replacement string) map[string]*ast.Module {
	t.Helper()
	stub, err := ast.ParseModule(r.file, "package x\nimport rego.v1\n"+replacement)
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]*ast.Module{}
	for name, m := range s.modules {
		m = m.Copy()
		if name == r.file {
			m.Rules = slices.DeleteFunc(m.Rules, func(have *ast.Rule) bool { return have.Head.Name.String() == r.name })
			fresh := stub.Rules[0].Copy()
			fresh.Module = m
			m.Rules = append(m.Rules, fresh)
		}
		modules[name] = m
	}
	return modules
}

func TestEveryTestIsAboutARule(t *testing.T) {
	t.Parallel()
	s := load(t)
	owned := map[string]bool{}
	for _, r := range s.rules {
		for _, test := range append(s.about(r, "test_deny_"), s.about(r, "test_allow_")...) {
			owned[test.pkg+test.name] = true
		}
	}
	for _, test := range s.tests {
		if !owned[test.pkg+test.name] {
			t.Errorf("%s: %s is about no rule", test.file, test.name)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	set, err := policies.Load(context.Background(), policies.Context{"stack": "local", "hostname": "api.example.test"})
	if err != nil {
		t.Fatal(err)
	}
	script := policies.Document{
		"__type": "cognomega:index:WorkerScript", "__urn": "urn:script", "__name": "gateway", "op": "create",
		"__properties": map[string]any{"previews": true},
	}
	route := func(op, owner string) policies.Document {
		return policies.Document{
			"__type": "cloudflare:index/workersRoute:WorkersRoute", "__urn": "urn:route:" + owner, "__name": owner, "op": op,
			"__properties": map[string]any{"pattern": "api.example.test/*", "scriptName": owner},
		}
	}
	tests := map[string]struct {
		docs []policies.Document
		want []string
	}{
		"good":                     {[]policies.Document{route("create", "gateway")}, nil},
		"a resource's rule":        {[]policies.Document{route("create", "gateway"), script}, []string{"deny_previews urn:script Preview URLs are off"}},
		"a stack's rule":           {[]policies.Document{route("create", "gateway"), route("same", "voice")}, []string{"stack_deny_hostname_owner  The hostname has exactly one owner"}},
		"what goes does not count": {[]policies.Document{route("create", "gateway"), route("delete", "voice")}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := set.Judge(t.Context(), test.docs)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range found {
				got = append(got, v.Rule+" "+v.URN+" "+v.Title)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("violations %q, want %q", got, test.want)
			}
		})
	}
	if set.Rules() < 10 {
		t.Errorf("%d rules are loaded", set.Rules())
	}
}

// The rule and the promotion's own admission name the same repository and branch.
func TestProductionIsReleasedByTheRunOfTheContract(t *testing.T) {
	t.Parallel()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fs.ReadFile(policies.Files(), "production_source.rego")
	if err != nil {
		t.Fatal(err)
	}
	run := c.Gates.Promotion.Run
	for _, fact := range []string{`repository == "` + run.Repository + `"`, `ref == "` + run.Ref + `"`} {
		if !strings.Contains(string(raw), fact) {
			t.Errorf("production_source.rego does not say %s", fact)
		}
	}
}

func TestEveryRuleIsExplainedByATestThatDenies(t *testing.T) {
	t.Parallel()
	rules, err := policies.Rules()
	if err != nil || len(rules) != len(load(t).rules) {
		t.Fatalf("%d rules (%v)", len(rules), err)
	}
	for _, r := range rules {
		if r.Title == "" || r.Why == "" || r.Owner == "" || r.Fix == "" || !strings.HasPrefix(r.Example, "test_deny_") || strings.Count(r.Example, "{") != strings.Count(r.Example, "}") {
			t.Errorf("%+v", r)
		}
	}
}

func TestTheTestsCanBeRunByPeople(t *testing.T) {
	t.Parallel()
	results, err := policies.Test(t.Context())
	if err != nil || len(results) != len(load(t).tests) {
		t.Fatalf("%d results (%v)", len(results), err)
	}
	for _, r := range results {
		if !r.Holds || r.Name == "" || r.File == "" {
			t.Errorf("%+v", r)
		}
	}
}
