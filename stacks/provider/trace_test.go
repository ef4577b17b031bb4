package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/cognomega/edge/internal/cfapi"
)

// throwing is TypeScript whose types and comments are not in the bundle, so that its lines move.
const throwing = `interface Options {
  readonly name: string;
}
// A comment that the bundle does not keep.
const options: Options = { name: "boom" };
throw new Error(options.name);
`

func TestAScriptThatDoesNotStartIsLocatedInItsSources(t *testing.T) {
	t.Parallel()
	modules := bundled(t)
	line, column := whereItThrows(t, string(modules[0].Content))
	tests := map[string]struct{ says, adds string }{
		"in the bundle":          {fmt.Sprintf("Uncaught Error: boom\n  at worker.js:%d:%d", line, column), "\n  from workers/x/src/worker.ts:6:7"},
		"in another module":      {"Uncaught Error: boom\n  at other.js:1:1", ""},
		"column 0":               {"Uncaught Error: boom\n  at worker.js:1:0", ""},
		"a number past any size": {"at worker.js:99999999999999999999:1", ""},
		"nowhere":                {"Uncaught Error: boom", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := refused(10021, tt.says)
			if got, want := located(err, modules).Error(), err.Error()+tt.adds; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			other := refused(10027, tt.says)
			if got := located(other, modules).Error(); got != other.Error() {
				t.Errorf("an error of another kind became %q", got)
			}
			broken := []cfapi.Module{modules[0], {Name: "worker.js.map", Content: []byte("{")}}
			if got := located(err, broken).Error(); got != err.Error() {
				t.Errorf("a source map that cannot be read gave %q", got)
			}
		})
	}
}

func refused(code int, says string) error {
	return fmt.Errorf("upload script x: %w", &cfapi.Refusal{Status: 400, Messages: []cfapi.Message{{Code: code, Message: says}}})
}

// bundled is throwing as a deployment bundles it, code first.
func bundled(t *testing.T) []cfapi.Module {
	t.Helper()
	built := api.Build(api.BuildOptions{
		Stdin:   &api.StdinOptions{Contents: throwing, Loader: api.LoaderTS, Sourcefile: "../../../workers/x/src/worker.ts"},
		Outfile: "worker.js", Format: api.FormatESModule, Sourcemap: api.SourceMapLinked,
	})
	if len(built.Errors) > 0 || len(built.OutputFiles) != 2 {
		t.Fatalf("esbuild gave %d files and %v", len(built.OutputFiles), built.Errors)
	}
	modules := make([]cfapi.Module, 2)
	for _, f := range built.OutputFiles {
		if strings.HasSuffix(f.Path, ".map") {
			modules[1] = cfapi.Module{Name: "worker.js.map", Content: f.Contents}
		} else {
			modules[0] = cfapi.Module{Name: "worker.js", Content: f.Contents}
		}
	}
	return modules
}

// whereItThrows is the place that V8 names: of the new expression.
func whereItThrows(t *testing.T, code string) (line, column int) {
	t.Helper()
	for i, text := range strings.Split(code, "\n") {
		if at := strings.Index(text, "new Error"); at >= 0 {
			return i + 1, at + 1
		}
	}
	t.Fatalf("the bundle does not throw:\n%s", code)
	return 0, 0
}
