package edge

import (
	"bufio"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/cognomega/edge"

// rule says which of our packages a package may import. Patterns are folders; "x/..." means x and below.
type rule struct {
	pkg string
	may []string
}

// rules is the import table of the house: the first rule that matches a package decides.
// Tests may import anything: a test joins what the product keeps apart.
var rules = []rule{
	{"contract/gen", []string{"contract", "internal/fault"}},
	{"contract/...", []string{"internal/fault"}},
	{"internal/fault", nil},
	{"internal/browsertest", nil},
	{"migrations/...", nil},
	{"policies/...", nil},
	{"internal/term/...", []string{"internal/fault"}},
	{"internal/cfapi/...", []string{"internal/fault"}},
	{"internal/localpg/...", []string{"internal/fault", "internal/localpg/..."}},
	{"internal/rotation/...", []string{"contract", "internal/cfapi", "internal/fault"}},
	{"internal/ledger/ledgertest", []string{"internal/ledger/...", "internal/localpg/pgtest"}},
	{"internal/ledger/...", []string{"internal/fault", "internal/ledger/...", "migrations"}},
	{"internal/localcloud/mapped", nil},
	{"internal/localcloud/store/...", []string{"internal/fault", "internal/localcloud/mapped"}},
	{"internal/localcloud/runtime/...", []string{"internal/fault", "internal/localcloud/nonblock", "internal/localcloud/runtime/...", "internal/localcloud/store"}},
	{"internal/localcloud/doubles", []string{"internal/fault", "internal/localcloud/runtime/aidouble"}},
	{"internal/localcloud/nonblock", nil},
	{"internal/localcloud/keepalive", []string{"internal/localcloud/nonblock"}},
	{"internal/localcloud/egress", []string{"internal/localcloud/keepalive"}},
	{"internal/localcloud/edge/...", []string{"internal/fault", "internal/localcloud/keepalive", "internal/localcloud/runtime", "internal/localcloud/store"}},
	{"internal/localcloud/api/apitest", []string{"internal/fault", "internal/localcloud/api", "internal/localcloud/runtime", "internal/localcloud/store"}},
	{"internal/localcloud/conformance", []string{"internal/fault"}},
	{"internal/localcloud/api/...", []string{"internal/fault", "internal/localcloud/runtime/...", "internal/localcloud/store"}},
	{"internal/localcloud", []string{"internal/fault", "internal/localcloud/..."}},
	{"internal/oidc/...", []string{"internal/fault"}},
	{"internal/release", []string{"internal/fault"}},
	{"stacks/parent", nil},
	{"stacks/provider/sdk", nil},
	{"stacks/provider/...", []string{"internal/cfapi", "internal/fault", "stacks/parent", "stacks/provider/..."}},
	{"stacks/bundle", []string{"contract", "internal/fault"}},
	{"stacks/standin", []string{"internal/fault", "stacks/parent"}},
	{"stacks/langhost", []string{"internal/fault"}},
	{"stacks/platform", []string{"contract", "internal/fault", "stacks/provider/sdk"}},
	{"stacks/deploy/...", []string{"contract", "internal/cfapi", "internal/fault", "policies", "stacks/bundle", "stacks/deploy/...", "stacks/platform"}},
	{"stacks", []string{"contract", "internal/cfapi", "internal/fault", "internal/release", "policies", "stacks/..."}},
	{"audit/...", []string{"audit/...", "contract", "internal/cfapi", "internal/fault"}},
	{"internal/platform/...", []string{"audit/...", "contract", "internal/..."}},
	{"bench/...", []string{"audit/...", "contract", "internal/...", "stacks/bundle"}},
	{"cmd/cogctl", []string{"cmd/cogctl/cli"}},
	{"cmd/cogctl/cli", []string{"audit/...", "contract", "internal/..."}},
	{"cmd/pulumi-resource-cognomega", []string{"stacks/provider", "internal/fault"}},
	{"cmd/pulumi-resource-cloudflare", []string{"stacks/standin", "internal/fault"}},
	{"cmd/pulumi-language-go", []string{"stacks/langhost", "internal/fault"}},
}

// onlyIn lists outside packages that one of ours alone may import, because of what they cost or what they would scatter.
var onlyIn = map[string][]string{
	"github.com/pulumi/pulumi-cloudflare/sdk/v5": {"stacks/platform"},
	"github.com/charmbracelet/lipgloss":          {"internal/term", "bench"},
	"charm.land/lipgloss/v2":                     {"internal/term", "bench"},
	"github.com/open-policy-agent/opa":           {"policies"},
	"go.etcd.io/bbolt":                           {"internal/localcloud/store"},
	"github.com/spf13/cobra":                     {"cmd/cogctl/cli", "bench"},
}

// source is one Go file: where it is, what it imports, and whether it is a test.
type source struct {
	pkg, file string
	test      bool
	imports   []string
	doc       *ast.CommentGroup
}

func TestImportsFlowOneWay(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		allowed, ok := ruleFor(s.pkg)
		if !ok {
			t.Errorf("%s: package %q has no line in the import table", s.file, s.pkg)
			continue
		}
		for _, imported := range s.imports {
			ours, isOurs := strings.CutPrefix(imported, modulePath+"/")
			if isOurs && !slices.ContainsFunc(allowed, func(p string) bool { return covers(p, ours) }) {
				t.Errorf("%s: %s may not import %s", s.file, s.pkg, ours)
			}
			for outside, homes := range onlyIn {
				if covers(outside+"/...", imported) && !slices.ContainsFunc(homes, func(h string) bool { return covers(h+"/...", s.pkg) }) {
					t.Errorf("%s: only %s may import %s", s.file, strings.Join(homes, ", "), outside)
				}
			}
		}
	}
}

func TestTheTableCatchesAWrongImport(t *testing.T) {
	t.Parallel()
	allowed, ok := ruleFor("audit/routes")
	if !ok || slices.ContainsFunc(allowed, func(p string) bool { return covers(p, "internal/localcloud/edge") }) {
		t.Error("audits must not import the local cloud")
	}
	if allowed, _ := ruleFor("internal/localcloud/api"); slices.ContainsFunc(allowed, func(p string) bool { return covers(p, "contract") }) {
		t.Error("the local cloud must not know the contract")
	}
	if _, ok := ruleFor("internal/unknown"); ok {
		t.Error("a package outside the table must be refused")
	}
}

func TestEveryPackageHasAOneSentenceDoc(t *testing.T) {
	t.Parallel()
	docs := map[string][]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if _, ok := docs[s.pkg]; !ok {
			docs[s.pkg] = nil
		}
		if s.doc != nil {
			docs[s.pkg] = append(docs[s.pkg], strings.TrimSpace(s.doc.Text()))
		}
	}
	for pkg, texts := range docs {
		if len(texts) != 1 {
			t.Errorf("%s: wants its package doc in exactly one file, has %d", pkg, len(texts))
			continue
		}
		text := strings.Join(strings.Fields(texts[0]), " ")
		if sentences := strings.Count(text+" ", ". "); sentences != 1 || !(strings.HasPrefix(text, "Package ") || strings.HasPrefix(text, "Command ")) {
			t.Errorf("%s: package doc wants one sentence that starts with Package or Command, is %q", pkg, text)
		}
	}
}

var workerImport = regexp.MustCompile(`(?:from|import\()\s*["']([^"']+)["']`)

// Workers are deployed apart, so none may reach into another's folder.
func TestWorkersImportOnlyTheSharedFolder(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("workers/*/src/*.ts")
	if err != nil || len(files) == 0 {
		t.Fatalf("no Worker sources found (%v)", err)
	}
	for _, file := range files {
		worker := strings.Split(filepath.ToSlash(file), "/")[1]
		for _, imported := range relativeImports(t, file) {
			target := path.Join(path.Dir(filepath.ToSlash(file)), imported)
			if !strings.HasPrefix(target, "workers/"+worker+"/") && !strings.HasPrefix(target, "workers/shared/") {
				t.Errorf("%s imports %s, outside its own folder and workers/shared", file, target)
			}
		}
	}
}

func relativeImports(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var found []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		for _, m := range workerImport.FindAllStringSubmatch(lines.Text(), -1) {
			if strings.HasPrefix(m[1], ".") {
				found = append(found, m[1])
			}
		}
	}
	return found
}

func ruleFor(pkg string) ([]string, bool) {
	for _, r := range rules {
		if covers(r.pkg, pkg) {
			return r.may, true
		}
	}
	return nil, false
}

func covers(pattern, pkg string) bool {
	if base, deep := strings.CutSuffix(pattern, "/..."); deep {
		return pkg == base || strings.HasPrefix(pkg, base+"/")
	}
	return pattern == pkg
}

// sources parses the imports of every Go file of the repository but the root package's own.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || (strings.HasPrefix(d.Name(), ".") && file != ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || filepath.Dir(file) == "." {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{pkg: filepath.ToSlash(filepath.Dir(file)), file: file, test: strings.HasSuffix(file, "_test.go"), doc: parsed.Doc}
		for _, i := range parsed.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		all = append(all, s)
		return nil
	})
	if err != nil || len(all) < 10 {
		t.Fatalf("parsed only %d files: %v", len(all), err)
	}
	return all
}

// npm writes no entry for an optional package whose registry does not serve it, and then npm ci refuses the lock file.
func TestNpmLockFilesAreWholeAndNameNoRegistry(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"workers/package-lock.json", "bench/portkey/package-lock.json"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			checkLock(t, file)
		})
	}
}

func checkLock(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct {
			Version, Resolved    string
			Link                 bool
			OptionalDependencies map[string]string
		}
	}
	if err := json.Unmarshal(raw, &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if p.Resolved != "" && !p.Link {
			t.Errorf("%s names where it was downloaded from", name)
		}
		for optional := range p.OptionalDependencies {
			if _, ok := lock.Packages["node_modules/"+optional]; !ok {
				t.Errorf("%s: its optional package %s has no entry; add one with version, os and cpu", name, optional)
			}
		}
	}
}
